"""RetryPolicy: numbers that turn a row of the table into a decision. Somebody else carries it out."""

import dataclasses
import enum
import random
from collections.abc import Callable
from typing import Self

from config.replies import Action, Kind, Row
from config.settings import Settings


class Reason(enum.Enum):
    """Why a code is in the failure queue."""

    PERMANENT = "permanent"
    """The gateway's reply will not change by itself."""
    EXHAUSTED = "exhausted"
    """Every attempt failed, and no call was placed."""
    EXPIRED = "expired"
    """Its life ended before a call was placed."""
    AMBIGUOUS = "ambiguous"
    """The phone may have rung; no further call by ourselves."""
    BAD_INPUT = "bad_input"
    """The message cannot be called as the producer sent it."""
    KEY_CONFLICT = "key_conflict"
    """The producer used one key for two different codes."""
    UNREADABLE = "unreadable"
    """The item on the queue is no message that Celery can read."""
    UNKNOWN_TASK = "unknown_task"
    """The message asks for a task that this version does not know."""
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
class RetryPolicy:
    """Exponential backoff with full jitter. Durations in seconds."""

    base_seconds: float
    cap_seconds: float
    gap_seconds: float
    """No attempt sooner than this after the previous one's end."""
    max_attempts: int
    ambiguous_retries: int
    uniform: Callable[[float, float], float] = random.uniform

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the numbers from the settings."""
        return cls(
            base_seconds=settings.backoff_base_seconds,
            cap_seconds=settings.backoff_cap_seconds,
            gap_seconds=settings.retry_gap_seconds,
            max_attempts=settings.max_attempts,
            ambiguous_retries=settings.ambiguous_retries,
        )

    def decide(  # noqa: PLR0913 - each is one fact about the attempt
        self,
        row: Row,
        *,
        attempt: int,
        since_ambiguous: int | None,
        spent: tuple[str, ...],
        retry_after_seconds: float | None,
        seconds_left: float,
    ) -> Decision:
        """Return what follows from one attempt.

        `attempt`: 1-based, of this life. `since_ambiguous`: attempts after the first ambiguous one of this life, this one
        included; None where there was none before. `seconds_left`: until the code expires.
        """
        if row.action is Action.RECORD:
            return Done()
        if row.kind is Kind.PERMANENT:
            return GiveUp(Reason.PERMANENT)
        if row.kind is Kind.AMBIGUOUS and since_ambiguous is None:
            since_ambiguous = 0
        rang = since_ambiguous is not None
        if since_ambiguous is not None and since_ambiguous >= self.ambiguous_retries:
            return GiveUp(Reason.AMBIGUOUS)
        used_up = row.times is not None and spent.count(row.name) >= row.times
        if row.action is Action.BURY or used_up or attempt >= self.max_attempts:
            return GiveUp(Reason.AMBIGUOUS if rang else Reason.EXHAUSTED)
        delay = self._delay(row, attempt, retry_after_seconds)
        if delay >= seconds_left:
            return GiveUp(Reason.AMBIGUOUS if rang else Reason.EXPIRED)
        return RetryIn(delay, spends="" if row.times is None else row.name)

    def _delay(self, row: Row, attempt: int, retry_after_seconds: float | None) -> float:
        if row.action is Action.WAIT:
            delay = row.delay_seconds or 0.0
        else:
            delay = self.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2 ** (attempt - 1)))
        if retry_after_seconds is not None:
            delay += retry_after_seconds
        return max(delay, self.gap_seconds)
