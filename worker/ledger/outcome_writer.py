"""OutcomeWriter: writes an outcome however long Redis is away, until the process ends."""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from config.names import Event
from worker.ledger.finish import Finished, Outcome, Recorded
from worker.store.availability import RedisUnavailable

log = structlog.get_logger("voicecode.ledger")

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0


class OutcomeWriter:
    """Shared by all threads of a worker. `grace_seconds`: for its tries once the worker stops."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._stop_at: float | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Try only for the grace from now on."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._grace
            self._stopping.set()

    def until_written(self, write: Callable[[], Finished], outcome: Outcome) -> Finished:
        """Return the ledger's answer; UNWRITTEN if the process ends first: the log has it then."""
        pause = _FIRST_PAUSE_SECONDS
        tries = 0
        while True:
            try:
                finished = write()
            except RedisUnavailable as error:
                tries += 1
                cause = str(error)
                if tries == 1:
                    log.warning(
                        Event.OUTCOME_DELAYED,
                        key=outcome.key,
                        attempt=outcome.claim.attempt,
                        cause=cause,
                        runbook="redis-away",
                    )
            else:
                return finished
            if self._stop_at is not None and time.monotonic() >= self._stop_at:
                log.error(
                    Event.OUTCOME_UNWRITTEN,
                    key=outcome.key,
                    attempt=outcome.claim.attempt,
                    outcome=outcome.word,
                    row=outcome.row.name,
                    voice_id=outcome.reply.voice_id,
                    cause=cause,
                    alert="page",
                    runbook="outcome-unwritten",
                )
                return Finished(Recorded.UNWRITTEN)
            self._stopping.wait(pause) if self._stop_at is None else time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
