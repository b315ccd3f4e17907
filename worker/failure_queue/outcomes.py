"""Outcomes: what has become of the codes that a run replayed."""

import collections
import enum
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import redis

from worker.failure_queue.runs import replayed_by
from worker.failure_queue.scan import batched
from worker.store import keys, scripts

_LOOK: Final = 200
_PAUSE_SECONDS: Final = 0.5


class Outcome(enum.StrEnum):
    """What has become of one code."""

    ACCEPTED = "accepted"
    """The gateway took the call."""
    EXPIRED = "expired"
    """Its life ended before a call was placed: it is a dead letter again."""
    FAILED = "failed"
    """It is a dead letter again, for another reason."""
    WAITING = "waiting"
    """It is due, in call, or waits for another try."""
    FORGOTTEN = "forgotten"
    """Its record is no longer kept: it was accepted or discarded long ago."""


class Outcomes:
    """Looks at a run's codes again and again, each until it has ended. `client` decodes answers."""

    def __init__(self, client: redis.Redis, run: str) -> None:
        self._client: Any = client
        found = client.sscan_iter(replayed_by(run), count=1_000)
        self._left: list[str] = [scripts.text(key) for key in found]
        self._ended: collections.Counter[Outcome] = collections.Counter()

    def look(self) -> collections.Counter[Outcome]:
        """Return how many codes have come to which end so far."""
        left: list[str] = []
        for batch in batched(self._left, _LOOK):
            for key, outcome in zip(batch, self._read(batch), strict=True):
                if outcome is Outcome.WAITING:
                    left.append(key)
                else:
                    self._ended[outcome] += 1
        self._left = left
        return self._ended + collections.Counter({Outcome.WAITING: len(left)})

    def follow(
        self,
        patience_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[collections.Counter[Outcome]]:
        """Look until all have ended, or until none has ended for `patience_seconds`."""
        ended_at, ended = clock(), -1
        while True:
            counts = self.look()
            yield counts
            if not counts[Outcome.WAITING]:
                return
            if counts.total() - counts[Outcome.WAITING] != ended:
                ended_at, ended = clock(), counts.total() - counts[Outcome.WAITING]
            elif clock() - ended_at > patience_seconds:
                return
            sleep(_PAUSE_SECONDS)

    def _read(self, batch: Sequence[str]) -> list[Outcome]:
        pipe = self._client.pipeline(transaction=False)
        for key in batch:
            pipe.hmget(keys.record(key), "state", "reason")
        return [_outcome(state, reason) for state, reason in pipe.execute()]


def _outcome(state: str | None, reason: str | None) -> Outcome:
    if state is None:
        return Outcome.FORGOTTEN
    if state == "accepted":
        return Outcome.ACCEPTED
    if state != "dead":
        return Outcome.WAITING
    return Outcome.EXPIRED if reason == "expired" else Outcome.FAILED
