"""The judge: checks every code's history against the invariants, and counts.

I1  An acknowledged code is either accepted, or a dead letter with a reason in the failure queue;
    nothing of it is still waiting.
I2  The gateway placed at most 1 call + one for each attempt recorded as ambiguous, over all lives
    and in each of them. It got at most one submission an attempt, and none from an attempt that
    began after the code was known to be accepted.
I3  Nothing was submitted after the code's end.
I4  A permanent reply that arrived was not followed by another submission in the same life, unless
    it said that the account is empty. One that refuses a host is followed by one on another host.
F3  A code whose attempts all never left did not use up its submissions or its possible rings.
"""

import bisect
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from config.replies import ROWS, Kind, Scope, Spends
from tests.chaos.evidence import History
from worker.retry import Reason

_TOPPED_UP: Final = "4051"
"""Codes may wait for a top-up."""
_PERMANENT: Final = frozenset(row.name for row in ROWS if row.kind is Kind.PERMANENT) - {_TOPPED_UP}
_REFUSES_A_HOST: Final = frozenset(
    row.name for row in ROWS if row.kind is Kind.PERMANENT and row.scope is Scope.HOST
)
_NEVER_LEFT: Final = frozenset(row.name for row in ROWS if row.spends is Spends.NOTHING)
_USED_UP: Final = frozenset({Reason.EXHAUSTED.value, Reason.AMBIGUOUS.value})
_ACCEPTED: Final = "accepted"
_DEAD: Final = "dead"
_CLOCK_SECONDS: Final = 0.01
"""The ledger's times are Redis' and cut to a millisecond."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came out."""

    violations: tuple[tuple[str, History], ...]
    """Each with the sentence that says what is wrong."""
    figures: dict[str, Any]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


def judge(
    histories: Iterable[History], *, deadline_seconds: float, redis_away: Sequence[tuple[float, float]] = ()
) -> Verdict:
    """Judge every code.

    `deadline_seconds`: of an attempt; a submission may come this long after its claim.

    `redis_away`: periods in which nobody could look at a code, in epoch seconds.
    """
    everything = list(histories)
    rules: tuple[Callable[[History], str | None], ...] = (
        _lost,
        _contradictory,
        _called_too_often,
        _submitted_too_often,
        lambda history: _called_after_accepted(history, deadline_seconds),
        lambda history: _called_after_its_end(history, deadline_seconds),
        _repeated_what_was_permanent,
        _died_of_what_never_left,
    )
    found = [(sentence, history) for history in everything for rule in rules if (sentence := rule(history))]
    return Verdict(
        violations=tuple(found), figures=_figures(everything, [sentence for sentence, _ in found], redis_away)
    )


def _lost(history: History) -> str | None:
    if history.acknowledged_at is None:
        return None
    if history.record is None:
        return "lost: there is no record"
    if history.record.state not in {_ACCEPTED, _DEAD}:
        return (
            f"lost: {history.record.state} for ever"
            if not history.due
            else f"lost: still {history.record.state}"
        )
    if history.record.state == _DEAD and not (history.record.reason and history.buried):
        return "lost: dead without a reason or outside the failure queue"
    return None


def _contradictory(history: History) -> str | None:
    record = history.record
    if record is None:
        return None
    if record.state == _ACCEPTED and not history.calls:
        return "accepted, but the gateway placed no call"
    if record.state == _ACCEPTED and (history.buried or history.due):
        return "accepted, but still in the failure queue or waiting"
    if record.state == _DEAD and history.calls and not record.ambiguous:
        return "dead, and nothing says that the phone rang"
    return None


def _called_too_often(history: History) -> str | None:
    record = history.record
    if record is None:
        return None
    if len(history.calls) > 1 + record.ambiguous:
        return f"{len(history.calls)} calls with {record.ambiguous} ambiguous attempts"
    for number, calls, excused in _lives(history):
        if calls > excused:
            return (
                f"{calls} calls in life {number}, where at most {excused} attempts were accepted or ambiguous"
            )
    return None


def _lives(history: History) -> Iterator[tuple[int, int, int]]:
    """Yield for each life its number, its calls, and the attempts that excuse them.

    An attempt excuses a call if it was accepted or ambiguous and its call is not known yet.
    An accepted record has no attempts any more: only its counts can be held to the rules.
    """
    if history.record is None or (history.record.state == _ACCEPTED and not history.record.attempts):
        return
    calls = Counter(bisect.bisect(history.replayed_at, call.at) for call in history.calls)
    attempts = Counter(
        bisect.bisect(history.replayed_at, attempt.started_at or 0)
        for attempt in history.record.attempts
        if attempt.ambiguous or attempt.kind == Kind.ACCEPTED.value
    )
    spare = 0
    for life in range(max(calls, default=-1) + 1):
        excused = attempts[life] + spare
        yield life + 1, calls[life], excused
        # The network may hold a request back until after a replay: an attempt for which no call is
        # known yet may still place it.
        spare = max(0, excused - calls[life])


def _submitted_too_often(history: History) -> str | None:
    if history.record is None:
        return None
    tries = history.record.tries or len(history.record.attempts)
    return f"{len(history.submissions)} submissions in {tries} attempts" * (len(history.submissions) > tries)


def _called_after_accepted(history: History, deadline_seconds: float) -> str | None:
    """Excuse a second attempt claimed before the acceptance was written: both are flagged."""
    record = history.record
    if record is None or record.accepted_at is None:
        return None
    late = [s for s in history.submissions if s.at > record.accepted_at + _CLOCK_SECONDS]
    if late and (not record.ambiguous or late[-1].at > record.accepted_at + deadline_seconds):
        return f"submitted {late[-1].at - record.accepted_at:.3f} s after it was known to be accepted"
    return None


def _called_after_its_end(history: History, deadline_seconds: float) -> str | None:
    end = history.record.expires_at if history.record else None
    if end and history.submissions and history.submissions[-1].at > end + deadline_seconds:
        return f"submitted {history.submissions[-1].at - end:.3f} s after its end"
    return None


def _repeated_what_was_permanent(history: History) -> str | None:
    if history.record is None:
        return None
    hosts: Counter[int] = Counter()
    for attempt, following in itertools.pairwise(history.record.attempts):
        replayed = any((attempt.ended_at or 0) <= moment for moment in history.replayed_at)
        if attempt.row in _REFUSES_A_HOST:
            life = bisect.bisect(history.replayed_at, attempt.started_at or 0)
            hosts[life] += 1
            if hosts[life] == 1:
                continue
        if attempt.row in _PERMANENT and not replayed:
            return f"attempt {following.number} after the permanent reply {attempt.row}"
    return None


def _died_of_what_never_left(history: History) -> str | None:
    record = history.record
    if record is None or record.state != _DEAD or record.reason not in _USED_UP:
        return None
    life = [a for a in record.attempts if (a.started_at or 0) >= max(history.replayed_at, default=0.0)]
    if life and all(attempt.row in _NEVER_LEFT for attempt in life):
        return f"dead, {record.reason}, though none of {len(life)} attempts left"
    return None


def _figures(
    histories: list[History], sentences: list[str], redis_away: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    records = [history.record for history in histories if history.record]
    calls = [len(history.calls) for history in histories]
    return {
        "codes": len(histories),
        "accepted": sum(record.state == _ACCEPTED for record in records),
        "dead": dict(sorted(Counter(record.reason for record in records if record.state == _DEAD).items())),
        "submissions": sum(len(history.submissions) for history in histories),
        "calls": sum(calls),
        "ambiguous attempts": sum(record.ambiguous for record in records),
        "replays": sum(record.replays for record in records),
        "worker deaths in a call": sum(record.deaths for record in records),
        "lost": sum(sentence.startswith("lost") for sentence in sentences),
        "calls beyond 1 + ambiguous": sum(
            max(0, len(h.calls) - 1 - (h.record.ambiguous if h.record else 0)) for h in histories
        ),
        "violations": len(sentences),
        "second calls, each flagged ambiguous": sum(max(0, number - 1) for number in calls),
        "longest recovery seconds": _longest(_recoveries(histories, redis_away)),
        "longest recovery seconds, Redis' absence included": _longest(_recoveries(histories, ())),
        "longest wait for a first look seconds": _longest(
            h.record.first_seen - h.acknowledged_at
            for h in histories
            if h.record and h.record.first_seen and h.acknowledged_at
        ),
    }


def _recoveries(histories: list[History], redis_away: Sequence[tuple[float, float]]) -> Iterator[float]:
    """Yield for each attempt whose worker died how long the code then waited.

    The wait begins at the lease's end, or when Redis came back. If a replay made the next attempt,
    the code had been buried before it, and its record no longer tells when.
    """
    for history in histories:
        record = history.record
        if record is None:
            continue
        for attempt, following in zip(record.attempts, (*record.attempts[1:], None), strict=False):
            looked_at = (following.started_at if following else None) or record.died_at
            if attempt.row != "lease_over" or not looked_at or not attempt.ended_at:
                continue
            if not any(attempt.ended_at < moment <= looked_at for moment in history.replayed_at):
                returns = (back for gone, back in redis_away if gone < looked_at and back > attempt.ended_at)
                yield max(0.0, looked_at - max(attempt.ended_at, *returns, 0.0))


def _longest(seconds: Iterable[float]) -> float:
    return round(max(seconds, default=0.0), 3)
