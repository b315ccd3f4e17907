"""Unacked: messages that were fetched and not yet acked, and the thread that acks in batches."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
import structlog

from config import names
from config.names import Event
from config.settings import Settings
from worker.message import RAW_CAP_BYTES
from worker.store import keys, scripts
from worker.store.availability import RedisAvailability, RedisUnavailable, reaching
from worker.store.digests import Digests
from worker.store.scripts import Script

log = structlog.get_logger("voicecode.unacked")

POISON_AFTER_RETURNS: Final = 3
_SWEEP_BATCH: Final = 100
_SILENCE_SECONDS: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The answer of `sweep.lua`."""

    restored: int
    moved: int
    poison: tuple[str, ...]
    """Keys of messages that became dead letters `poison`."""

    @property
    def more(self) -> bool:
        """Whether a batch was full: there may be more to sweep now."""
        return self.restored + len(self.poison) >= _SWEEP_BATCH or self.moved >= _SWEEP_BATCH


class Unacked:
    """The operations on fetched messages. `instance`: unique to this process."""

    def __init__(
        self, client: redis.Redis, settings: Settings, availability: RedisAvailability, instance: str
    ) -> None:
        self._client = client
        self._settings = settings
        self._availability = availability
        self._instance = instance
        self._digests = Digests(client, settings)
        self._sweep = Script(client, "transport/sweep", fates=settings.fates)
        self._give_back = Script(client, "transport/give_back")

    def sweep(self) -> Swept:
        """Put back the messages that were not acked in time. Raises RedisUnavailable."""
        s = self._settings
        with reaching(self._availability):
            salt = self._digests.salt
        restored, moved, *poison = self._run(
            self._sweep,
            keys.SWEEP,
            prefix=names.RECORD_PREFIX,
            instance=self._instance,
            visibility_seconds=s.visibility_timeout_seconds,
            limit=_SWEEP_BATCH,
            poison_after=POISON_AFTER_RETURNS,
            raw_cap=RAW_CAP_BYTES,
            salt=salt,
            # Well below the visibility time-out: it also has to cover a message that kills its
            # worker slowly.
            silence_seconds=min(
                s.visibility_timeout_seconds, 3 * s.upkeep_interval_seconds + _SILENCE_SECONDS
            ),
            lenience_seconds=self._availability.lenience_seconds(),
        )
        return Swept(
            restored=int(restored), moved=int(moved), poison=tuple(scripts.text(key) for key in poison)
        )

    def give_back(self, tags: Sequence[str]) -> int:
        """Put messages back to the front of the queue, oldest first. Raises RedisUnavailable."""
        return int(self._run(self._give_back, keys.GIVE_BACK, tags=tags)) if tags else 0

    def ack(self, tags: Sequence[str]) -> None:
        """Remove messages. Acking twice is harmless. Raises RedisUnavailable."""
        if not tags:
            return
        with reaching(self._availability), self._client.pipeline(transaction=False) as pipe:
            # Removals only, and no MULTI, which a full Redis refuses: acks free memory. The sweep
            # removes what a crash leaves in the index.
            pipe.hdel(names.UNACKED, *tags)
            pipe.zrem(names.UNACKED_INDEX, *tags)
            pipe.hdel(names.FETCHED, *tags)
            pipe.hdel(names.RETURNS, *tags)
            pipe.execute()

    def _run(self, script: Script, redis_keys: list[str], **arguments: Any) -> Any:
        with reaching(self._availability):
            return script(redis_keys, clock_offset=0, version=names.RECORD_VERSION, **arguments)


class Acks(threading.Thread):
    """Collects acks from all threads and sends them in batches.

    If an ack is lost, its message comes back and the ledger recognises it.
    """

    PAUSE_SECONDS: Final = 0.01
    """How long a batch is collected for."""
    BATCH: Final = 500

    def __init__(self, unacked: Unacked) -> None:
        super().__init__(name="voicecode-acks", daemon=True)
        self._unacked = unacked
        self._tags: collections.deque[str] = collections.deque()
        self._left: collections.deque[str] = collections.deque()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._began: float | None = None

    def busy_seconds(self) -> float:
        """Return how long the current batch has been on its way; 0 between two batches."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def add(self, tag: str) -> None:
        """Take an ack and return at once."""
        self._tags.append(tag)
        self._wake.set()

    def give_back_soon(self, tag: str) -> None:
        """Put a message back on the queue as soon as Redis answers. Returns at once."""
        self._left.append(tag)
        self._wake.set()

    def run(self) -> None:
        """Send batches until `stop`."""
        while not self._stopped.is_set():
            self._wake.wait()
            self._stopped.wait(self.PAUSE_SECONDS)
            self._wake.clear()
            self._began = time.monotonic()
            sent = self.flush()
            self._began = None
            if not sent:
                self._wake.set()
                self._stopped.wait(1)

    def flush(self) -> bool:
        """Send everything collected. Return False if that failed; the rest is kept."""
        return self._send(self._tags, self._unacked.ack) and self._send(self._left, self._unacked.give_back)

    def _send(self, waiting: collections.deque[str], step: Callable[[list[str]], object]) -> bool:
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), self.BATCH))]
            try:
                step(batch)
            except RedisUnavailable:
                waiting.extend(batch)
                return False
            except Exception:
                # The thread must go on: nothing else sends acks.
                log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
                waiting.extend(batch)
                return False
        return True

    def give_back(self, tags: Sequence[str]) -> None:
        """Put messages back now. If Redis is away, the sweep does it later."""
        try:
            self._unacked.give_back(tags)
        except RedisUnavailable as error:
            log.warning(
                Event.MESSAGE_LEFT, count=len(tags), cause=str(error), alert="warn", runbook="redis-away"
            )

    def stop(self) -> None:
        """Send the rest and end."""
        self._stopped.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout=7)
        self.flush()
