"""Plan: what a replay would do, before anything is done."""

import collections
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an operator allows a replay to do."""

    ambiguous: bool = False
    """Replay those whose phone may have rung already, too."""
    superseded: bool = False
    """Replay those for whose number and purpose a newer code was asked for, too."""
    life_seconds: float | None = None
    """Give each code a new life of this length; None: it keeps its own, and an expired one is not sent."""

    @property
    def arguments(self) -> tuple[str | float, str, str]:
        """Return life and flags as the scripts take them."""
        life = "" if self.life_seconds is None else self.life_seconds
        return life, "1" if self.ambiguous else "0", "1" if self.superseded else "0"

    def __str__(self) -> str:
        life = "" if self.life_seconds is None else f"new life of {self.life_seconds:g} s"
        parts = ("ambiguous too" * self.ambiguous, "superseded too" * self.superseded, life)
        return ", ".join(part for part in parts if part) or "sendable only"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer for a set of dead letters at one moment; each is looked at once more when its turn comes."""

    keys: tuple[str, ...] = dataclasses.field(repr=False)
    """Those that would be replayed, in this order."""
    counts: collections.Counter[str]
    """Words of `inspect.lua`: sendable, expired, superseded, ambiguous, unsendable, and what left the queue meanwhile."""

    @property
    def total(self) -> int:
        """How many were looked at."""
        return self.counts.total()

    def as_dict(self) -> dict[str, int]:
        """Return the counts for a program: each of the five words, and the total."""
        words = dict.fromkeys(("sendable", "expired", "superseded", "ambiguous", "unsendable"), 0)
        return {**words, **self.counts, "total": self.total}
