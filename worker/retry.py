"""RetryPolicy: numbers that turn a row of the table into a decision, which others carry out."""

import dataclasses
import enum
import random
from collections.abc import Callable, Mapping
from typing import Final, Self

from config.replies import Action, Kind, Row, Scope, Spends
from config.settings import Settings


class Reason(enum.Enum):
    """Why a code is in the failure queue."""

    PERMANENT = "permanent"
    """The gateway's reply will not change by itself."""
    EXHAUSTED = "exhausted"
    """It was refused or turned away as often as allowed, and no call was placed."""
    EXPIRED = "expired"
    """Its life ended before a call was placed."""
    AMBIGUOUS = "ambiguous"
    """The phone may have rung. Only an operator can have it called again."""
    BAD_INPUT = "bad_input"
    """The message cannot be called as the producer sent it."""
    KEY_CONFLICT = "key_conflict"
    """The producer used one key for two different codes."""
    UNREADABLE = "unreadable"
    """Celery cannot read the item on the queue."""
    UNKNOWN_TASK = "unknown_task"
    """The message asks for a task that this version does not know."""
    SUPERSEDED = "superseded"
    """A newer code for the same number and purpose was asked for while it waited."""
    RATE_LIMITED = "rate_limited"
    """Its number was called too often, and may not be called again within the code's life."""
    SEAL_KEY_GONE = "seal_key_gone"
    """It is sealed under a key that no worker has."""
    POISON = "poison"
    """The workers that fetched it died, again and again, before they could claim it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Accepted."""


@dataclasses.dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again."""

    seconds: float
    spends: str = ""
    """Name of the row whose `times` this uses up."""


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Make it a dead letter."""

    reason: Reason


Decision = Done | RetryIn | GiveUp


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What a code has spent in this life, including the try that has just ended."""

    submissions: int
    """Forms that the gateway read, or may have read."""
    rings: int
    """Tries after which the phone may have rung."""
    turned_away: int
    """Tries whose form left and was turned away unread."""
    in_a_row: int
    """Earlier tries in a row that spent the same as this one."""
    rows: tuple[str, ...] = ()
    """Names of rows with `times` that led to another try, once for each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The wait before the next try: low to 1 times min(cap, base x factor^n), plus gap. Seconds."""

    base: float
    factor: float
    cap: float
    low: float
    gap: float = 0.0

    def bounds(self, in_a_row: int) -> tuple[float, float]:
        """Return the shortest and longest wait. `in_a_row`: earlier tries of this kind."""
        longest = min(self.cap, self.base * self.factor ** min(in_a_row, _LARGEST_EXPONENT))
        return self.gap + self.low * longest, self.gap + longest

    def scaled(self, scale: float) -> "Backoff":
        """Return the same with every duration multiplied."""
        return dataclasses.replace(self, base=self.base * scale, cap=self.cap * scale, gap=self.gap * scale)


_LARGEST_EXPONENT: Final = 32

BACKOFFS: Final = {
    # Only time is lost: try often, since a gateway that restarts is back within seconds.
    Spends.NOTHING: Backoff(base=0.5, factor=2, cap=5, low=0, gap=0.25),
    Spends.PLACE: Backoff(base=2, factor=2, cap=30, low=0.5),
    # Five submissions span about two minutes.
    Spends.SUBMISSION: Backoff(base=4, factor=3, cap=100, low=0.5),
}
TURNED_AWAY_AT_MOST: Final = 10
"""How often in one life a form may be turned away unread."""
LAST_TRY_SECONDS: Final = 10.0
"""If `Retry-After` reaches past the code's end, one last try is made this long before the end."""
LAST_TRY: Final = "last_try"
OTHER_HOST: Final = "other_host"
"""Counted like a row: the code met a host row and was handed to another worker."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The numbers, and what follows from them. Durations in seconds."""

    backoffs: Mapping[Spends, Backoff]
    gap_seconds: float
    """No submission sooner than this after the previous one's end."""
    max_submissions: int
    max_rings: int
    parks: bool = False
    """Whether codes may be parked or handed to another host; if not, a refusal is the end."""
    uniform: Callable[[float, float], float] = random.uniform

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the numbers from the settings."""
        ring = Backoff(
            base=settings.ambiguous_delay_seconds, factor=1, cap=settings.ambiguous_delay_seconds, low=0.5
        )
        waits = {**BACKOFFS, Spends.RING: ring}
        return cls(
            backoffs={spends: backoff.scaled(settings.backoff_scale) for spends, backoff in waits.items()},
            gap_seconds=settings.retry_gap_seconds,
            max_submissions=settings.max_attempts,
            max_rings=1 + settings.ambiguous_retries,
            parks=settings.stop_sending,
        )

    def decide(
        self, row: Row, *, tries: Tries, retry_after_seconds: float | None, seconds_left: float
    ) -> Decision:
        """Return what follows from one try. `seconds_left`: until the code expires."""
        if row.action is Action.RECORD:
            return Done()
        refused = row.kind is Kind.PERMANENT and not (self.parks and row.action is Action.PARK)
        spent = self._is_spent(row, tries)
        handed_on = OTHER_HOST in tries.rows or not self.parks
        if (refused or spent) and row.scope is Scope.HOST and not handed_on:
            return RetryIn(self.gap_seconds, spends=OTHER_HOST)
        if refused:
            return GiveUp(Reason.PERMANENT)
        if tries.rings >= self.max_rings or (tries.rings and spent):
            return GiveUp(Reason.AMBIGUOUS)
        if spent:
            return GiveUp(Reason.EXHAUSTED)
        retry = self._retry(row, tries, retry_after_seconds, seconds_left)
        return retry or GiveUp(Reason.AMBIGUOUS if tries.rings else Reason.EXPIRED)

    def _is_spent(self, row: Row, tries: Tries) -> bool:
        if row.action is Action.BURY or (row.times is not None and tries.rows.count(row.name) >= row.times):
            return True
        if row.spends is Spends.PLACE:
            return tries.turned_away >= TURNED_AWAY_AT_MOST
        return row.spends is not Spends.NOTHING and tries.submissions >= self.max_submissions

    def _retry(
        self, row: Row, tries: Tries, retry_after_seconds: float | None, seconds_left: float
    ) -> RetryIn | None:
        """Return when to try again, or None if no further try fits into the code's life."""
        counts = "" if row.times is None else row.name
        gap = 0.0 if row.spends is Spends.NOTHING else self.gap_seconds
        if row.action in {Action.WAIT, Action.PARK}:
            delay = max(gap, row.delay_seconds or 0.0)
            return RetryIn(delay, spends=counts) if delay < seconds_left else None
        shortest, longest = self.backoffs[row.spends].bounds(tries.in_a_row)
        if retry_after_seconds is not None and retry_after_seconds >= seconds_left:
            delay = seconds_left - LAST_TRY_SECONDS
            return RetryIn(delay, spends=LAST_TRY) if delay > gap and LAST_TRY not in tries.rows else None
        asked = retry_after_seconds or 0.0
        delay = max(gap, asked + self.uniform(shortest, longest))
        # A wait beyond the code's end is drawn again within the time that is left.
        earliest = max(gap, asked, min(shortest, self.backoffs[Spends.NOTHING].gap))
        latest = seconds_left - self.backoffs[Spends.NOTHING].gap
        if delay >= latest:
            delay = self.uniform(earliest, latest) if earliest < latest else seconds_left
        return RetryIn(delay, spends=counts) if delay < seconds_left else None


_KEY_TRIES: Final = 20
_KEY_PAUSE_SECONDS: Final = 1.0


def without_seal_key(tries_in_a_row: int) -> Decision:
    """Decide about a code that this worker cannot open: another one may have the key already."""
    if tries_in_a_row < _KEY_TRIES:
        return RetryIn(_KEY_PAUSE_SECONDS)
    return GiveUp(Reason.SEAL_KEY_GONE)
