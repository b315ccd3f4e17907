"""Drain: how fast the fleet can call what a replay puts back, and what would expire before."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.ledger.record import Record
from worker.sending.account import Account
from worker.sending.slots import reserved
from worker.sending.state import Sending, State
from worker.store import keys as redis_keys

_SAMPLE: Final = 50
_TYPICAL_SECONDS: Final = 0.3
"""Length of an attempt if no dead letter's record tells it."""
_LIVE_SECONDS: Final = 30.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """An estimate for one plan at one moment."""

    workers: int
    slots: int
    """Calls in flight in the whole fleet."""
    per_second: float
    """Codes that the fleet's slots, less those kept for new codes, or the replay's pace allow."""
    seconds: float | None
    """Until the last one is called; None if no worker lives."""
    expiring: int
    """How many expire before their turn, though the soonest to expire goes first."""
    sending: Sending

    @property
    def stopped(self) -> bool:
        """Nothing is called now."""
        return self.sending.state in {State.STOPPED, State.HELD}

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "workers": self.workers,
            "slots": self.slots,
            "per_second": round(self.per_second, 1),
            "seconds": None if self.seconds is None else round(self.seconds),
            "expiring": self.expiring,
            "sending": self.sending.state.value,
        }


def estimate(  # noqa: PLR0913 - the plan, the fleet and the moment
    client: redis.Redis,
    settings: Settings,
    keys: Sequence[str],
    expiries: Sequence[float],
    *,
    now: float,
    per_second: float | None,
) -> Drain:
    """Estimate from the workers that live and from how long attempts took.

    `expiries`: epoch seconds, ascending, one for each key. `per_second`: the pace of the replay.
    """
    account = Account(client)
    slots = [worker.slots for worker in account.workers()]
    if not slots:  # a fleet that never stops sending says nothing of itself
        connection: Any = client
        workers = int(connection.zcount(names.WORKERS, now - _LIVE_SECONDS, "+inf"))
        slots = [settings.concurrency] * workers
    hints = len(slots) * settings.upkeep_batch / settings.upkeep_interval_seconds
    calls = sum(each - reserved(each) for each in slots) / _attempt_seconds(client, keys)
    rate = min(hints, calls, per_second or float("inf"))
    called = expiring = 0
    for expires_at in expiries:
        if not rate or expires_at <= now + called / rate:
            expiring += 1
        else:
            called += 1
    return Drain(
        workers=len(slots),
        slots=sum(slots),
        per_second=rate,
        seconds=called / rate if rate else None,
        expiring=expiring,
        sending=account.sending(),
    )


def _attempt_seconds(client: redis.Redis, keys: Sequence[str]) -> float:
    pipe: Any = client.pipeline(transaction=False)
    for key in keys[:: max(1, len(keys) // _SAMPLE)][:_SAMPLE]:
        pipe.hgetall(redis_keys.record(key))
    records = [Record.from_hash("sample", values) for values in pipe.execute()]
    taken = [
        attempt.elapsed_seconds
        for record in records
        if record is not None
        for attempt in record.attempts[-1:]
        if attempt.elapsed_seconds and attempt.http_status
    ]
    return max(statistics.median(taken), 0.01) if taken else _TYPICAL_SECONDS
