"""Plan: what a replay would do, before anything is done."""

import collections
import dataclasses
from typing import Final

from worker.failure_queue.statuses import ReplayStatus

_ALWAYS_COUNTED: Final = (
    ReplayStatus.SENDABLE,
    ReplayStatus.EXPIRED,
    ReplayStatus.SUPERSEDED,
    ReplayStatus.AMBIGUOUS,
    ReplayStatus.UNSENDABLE,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an operator allows a replay to do."""

    ambiguous: bool = False
    """Also replay codes whose phone may have rung already."""
    superseded: bool = False
    """Also replay codes that a newer one, for the same number and purpose, has replaced."""
    life_seconds: float | None = None
    """Give each code a new life of this length.

    None: it keeps its own, and an expired code is not sent.
    """

    def check(self, *, longest_life_seconds: float) -> None:
        """Raise ValueError for a new life that is too long."""
        if self.life_seconds is not None and self.life_seconds > longest_life_seconds:
            message = f"a new life is at most VOICECODE_MAX_TTL_SECONDS long ({longest_life_seconds:g} s)"
            raise ValueError(message)

    @property
    def arguments(self) -> dict[str, float | str]:
        """Return the choice as `inspect.lua` and `replay.lua` name it."""
        return {
            "new_life_seconds": "" if self.life_seconds is None else self.life_seconds,
            "allow_ambiguous": "1" if self.ambiguous else "0",
            "allow_superseded": "1" if self.superseded else "0",
        }

    def __str__(self) -> str:
        life = "" if self.life_seconds is None else f"new life of {self.life_seconds:g} s"
        parts = ("ambiguous too" * self.ambiguous, "superseded too" * self.superseded, life)
        return ", ".join(part for part in parts if part) or "sendable only"


SENDABLE: Final = Choice()
"""What is allowed without any option: this is what sendable means."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer for a set of dead letters at one moment.

    Each is checked again when its turn comes.
    """

    keys: tuple[str, ...] = dataclasses.field(repr=False)
    """Those that would be replayed, in this order: the soonest to expire first."""
    expiries: tuple[float, ...] = dataclasses.field(default=(), repr=False)
    """When each of them expires, epoch seconds."""
    counts: collections.Counter[ReplayStatus]
    """How many of the dead letters have which status."""

    @property
    def total(self) -> int:
        """How many were looked at."""
        return self.counts.total()

    def as_dict(self) -> dict[str, int]:
        """Return counts for a program: five statuses always, others if they occur, the total."""
        counts = dict.fromkeys(_ALWAYS_COUNTED, 0) | self.counts
        return {**{status.value: count for status, count in counts.items()}, "total": self.total}
