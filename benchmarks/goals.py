"""The goals, as data: ratios of figures that one run measured. Only memory is absolute."""

import dataclasses
import enum
from collections.abc import Collection
from typing import Final

from benchmarks.field import FIELD, OURS
from benchmarks.results import Medians

PEERS: Final = tuple(c.name for c in FIELD if c.rival and c.name != OURS)
WITH_REQUESTS: Final = tuple(c.name for c in FIELD if c.requests and c.name in PEERS)
BARE: Final = "bare"


class Bound(enum.Enum):
    """Which way is good."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row: `who` in `measure`, divided by the best of `against` in `base` (or by one)."""

    text: str
    measure: str
    bound: Bound
    limit: float
    who: str = OURS
    base: str = ""
    """The measure of those it is compared with; by default the same."""
    against: tuple[str, ...] = ()
    moonshot: bool = False
    """Reported; `--check` does not fail below it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a goal came out. `ratio`: None where a figure is missing."""

    goal: Goal
    ratio: float | None
    rival: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal was reached; what was not measured was not."""
        if self.ratio is None:
            return False
        return (
            self.ratio >= self.goal.limit
            if self.goal.bound is Bound.AT_LEAST
            else self.ratio <= self.goal.limit
        )

    @property
    def failed(self) -> bool:
        """Whether `--check` has to end with 1."""
        return self.ratio is not None and not self.met and not self.goal.moonshot


_AT_LEAST, _AT_MOST = Bound.AT_LEAST, Bound.AT_MOST

GOALS: Final = (
    *(
        Goal(
            text=f"throughput at {ms}, ours / the best peer with requests",
            measure=f"throughput_{ms}",
            bound=_AT_LEAST,
            limit=1.2,
            against=WITH_REQUESTS,
        )
        for ms in ("0ms", "100ms")
    ),
    *(
        Goal(
            text=f"throughput at {ms}, ours / the best peer",
            measure=f"throughput_{ms}",
            bound=_AT_LEAST,
            limit=1.0,
            against=PEERS,
            moonshot=True,
        )
        for ms in ("0ms", "100ms")
    ),
    Goal(
        text="CPU per code at 0ms, ours / a bare loop of Session.post",
        measure="cpu_0ms",
        bound=_AT_MOST,
        limit=1.6,
        against=(BARE,),
    ),
    Goal(
        text="latency p99 at 50/s, ours / the best peer",
        measure="latency_50_p99",
        bound=_AT_MOST,
        limit=1.2,
        against=PEERS,
    ),
    *(
        Goal(
            text=f"throughput with a crowd of {what}, ours / with none",
            measure=f"throughput_{name}",
            bound=_AT_LEAST,
            limit=0.9,
            base="throughput_uncrowded",
            against=(OURS,),
        )
        for name, what in (("due", "codes waiting"), ("dead", "dead letters"))
    ),
    Goal(
        text="4 worker processes / 1, 10 slots each, 100ms",
        measure="throughput_4_processes",
        bound=_AT_LEAST,
        limit=3.6,
        base="throughput_1_processes",
        against=(OURS,),
    ),
    *(
        Goal(
            text=f"MB of one process with 200 calls in flight over {way}",
            measure=f"inflight_{way}",
            bound=_AT_MOST,
            limit=100.0,
        )
        for way in ("http", "https")
    ),
    Goal(text="codes that ours lost or called twice", measure="lost_or_doubled", bound=_AT_MOST, limit=0),
)


def judge(
    medians: Medians, goals: tuple[Goal, ...] = GOALS, *, losers: Collection[str] = ()
) -> list[Verdict]:
    """Compare the figures with the goals.

    `losers`: contestants that lost codes, with whom nobody is compared.
    """
    return [_verdict(goal, medians, losers) for goal in goals]


def _verdict(goal: Goal, medians: Medians, losers: Collection[str]) -> Verdict:
    value = medians.get(goal.measure, {}).get(goal.who)
    if value is None or not goal.against:
        return Verdict(goal=goal, ratio=value)
    bases = medians.get(goal.base or goal.measure, {})
    rivals = {who: bases[who] for who in goal.against if bases.get(who) and who not in losers}
    if not rivals:
        return Verdict(goal=goal, ratio=None)
    best = max if goal.bound is Bound.AT_LEAST else min
    rival = best(rivals, key=rivals.__getitem__)
    return Verdict(goal=goal, ratio=value / rivals[rival], rival=rival)


def as_dicts(verdicts: list[Verdict]) -> list[dict[str, object]]:
    """Return the verdicts, to be written as JSON."""
    return [
        {
            "goal": verdict.goal.text,
            "bound": verdict.goal.bound.value,
            "limit": verdict.goal.limit,
            "measured": verdict.ratio,
            "against": verdict.rival,
            "moonshot": verdict.goal.moonshot,
            "met": verdict.met,
        }
        for verdict in verdicts
    ]
