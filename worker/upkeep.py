"""Upkeep: the thread in each worker that buries expired codes and sends hints of those due."""

import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from config.names import Event
from worker import report
from worker.ledger import Ledger
from worker.retry import Reason
from worker.store.availability import RedisUnavailable
from worker.transport import Unacked

log = structlog.get_logger("voicecode.upkeep")

_JITTER: Final = 0.2
_SWEEPS_AT_ONCE: Final = 20


class Upkeep(threading.Thread):
    """Runs until `stop`. `retention`: done at the end of each look.

    `interval_seconds` is drawn out and in by a fifth, so that workers do not march in step.
    """

    def __init__(
        self,
        ledger: Ledger,
        unacked: Unacked,
        interval_seconds: float,
        *,
        retention: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="voicecode-upkeep", daemon=True)
        self._ledger = ledger
        self._unacked = unacked
        self._interval = interval_seconds
        self._retention = retention
        self._stopped = threading.Event()
        self._failing = False

    def run(self) -> None:
        """Do a round each interval, whatever goes wrong."""
        pause = self._pause()
        while not self._stopped.wait(pause):
            pause = self._pause()
            try:
                if self._look():
                    pause = 0
            except RedisUnavailable as error:
                self._failed(str(error))
            except Exception:
                log.exception(Event.UPKEEP_FAILED, alert="page", runbook="worker-bug")

    def stop(self) -> None:
        """End the thread after its current round."""
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=self._interval + 6)

    def _pause(self) -> float:
        return self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)

    def _look(self) -> bool:
        """Hint a batch, then bury for at most an interval. Return True if expired codes remain.

        A gateway that comes back gets its backlog at a bounded rate, and a hundred thousand burials
        delay neither hints nor the sweep.
        """
        began, hints = time.monotonic(), True
        while True:
            tidied = self._ledger.upkeep(token=secrets.token_hex(6), hints=hints)
            hints = False
            for buried in tidied.buried:
                report.buried(buried.key, buried.reason, buried.mobile, buried.task_id)
            for key in tidied.missing:
                log.error(Event.RECORD_MISSING, key=key, alert="warn", runbook="record-missing")
            if tidied.hinted:
                log.debug(Event.UPKEEP_RAN, hinted=tidied.hinted, buried=len(tidied.buried))
            if not tidied.more or time.monotonic() - began >= self._interval or self._stopped.is_set():
                break
        self._sweep()
        if self._failing:
            self._failing = False
            log.info(Event.UPKEEP_RECOVERED)
        self._retention()
        return tidied.more

    def _sweep(self) -> None:
        """Put back every overdue message, in batches; also messages in the lists of priorities."""
        restored = moved = 0
        for _ in range(_SWEEPS_AT_ONCE):
            swept = self._unacked.sweep()
            for key in swept.poison:
                report.buried(key, Reason.POISON.value, "", key)
            restored, moved = restored + swept.restored, moved + swept.moved
            if not swept.more:
                break
        if restored or moved:
            log.info(Event.MESSAGES_RESTORED, restored=restored, from_priorities=moved)

    def _failed(self, cause: str) -> None:
        if not self._failing:
            self._failing = True
            log.warning(Event.UPKEEP_FAILED, cause=cause, alert="warn", runbook="redis-away")
