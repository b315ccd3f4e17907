"""Upkeep: the thread in each worker that buries expired codes and sends hints for due ones."""

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Final

import structlog

from config.names import Event
from worker import report
from worker.ledger import Ledger
from worker.ledger.upkeep import Tidied
from worker.process.periodic import Periodic
from worker.retry import Reason
from worker.store.availability import RedisUnavailable
from worker.transport import Unacked

log = structlog.get_logger("voicecode.upkeep")

_SLICES: Final = 5
"""A batch of hints goes out in so many parts of an interval: new codes must not meet all of it."""
_SWEEPS_AT_ONCE: Final = 20
_NEWER_ROUNDS: Final = 10
"""Rounds in a row after which newer records are reported: a deployment may be under way."""
_NEWER_AGAIN_SECONDS: Final = 600.0
_SPILL_SECONDS: Final = 30.0


class Upkeep(Periodic):
    """Does its round every `interval_seconds`.

    `batch`: how many codes it hints in that time. `retention`: the thread that it watches.
    """

    def __init__(
        self,
        ledger: Ledger,
        unacked: Unacked,
        interval_seconds: float,
        *,
        batch: int = 200,
        retention: Periodic | None = None,
    ) -> None:
        super().__init__("upkeep", self._slice, interval_seconds / _SLICES)
        self._round_seconds = interval_seconds
        self._part = max(1, batch // _SLICES)
        self._number = 1  # the first round comes after a whole interval
        self._more_due = False
        self._ledger = ledger
        self._unacked = unacked
        self._retention = retention
        self._failing = False
        self._spill_hangs = False
        self._newer_rounds = 0
        self._newer_reported_at = float("-inf")

    def hurry(self) -> None:
        """Do a whole round without waiting for the interval's end."""
        self._number = 0
        super().hurry()

    def _slice(self) -> bool:
        """Do a round; in between, hint another part of a batch while more codes are due."""
        number, self._number = self._number, (self._number + 1) % _SLICES
        if number == 0:
            again = self._look()
            self._number = 0 if again else self._number
            return again
        if self._more_due:
            with contextlib.suppress(RedisUnavailable):  # the next round says so
                tidied = self._ledger.upkeep(token=secrets.token_hex(6), hint_limit=self._part)
                self._told(tidied)
                self._more_due = tidied.hinted == self._part
        return False

    def _look(self) -> bool:
        """Do one round. Return True if expired codes remain.

        A step that fails does not stop the others: if Redis refuses one, another may free memory.
        """
        more, trouble = False, ""
        steps: tuple[Callable[[], bool], ...] = (self._tidy, self._sweep)
        for step in steps:
            try:
                more |= step()
            except RedisUnavailable as error:
                trouble = trouble or str(error)
            except Exception:
                log.exception(Event.UPKEEP_FAILED, alert="page", runbook="worker-bug")
        self._report(trouble)
        self._watch_retention()
        return more and not trouble

    def _tidy(self) -> bool:
        """Hint a batch, then bury for at most an interval. Return True if expired codes remain.

        A gateway that comes back gets its backlog at a bounded rate, and a hundred thousand burials
        delay neither hints nor the sweep.
        """
        began, hints = time.monotonic(), True
        while True:
            tidied = self._ledger.upkeep(token=secrets.token_hex(6), hints=hints, hint_limit=self._part)
            self._told(tidied)
            if hints:
                self._more_due = tidied.hinted == self._part
                self._report_newer(tidied.newer)
            hints = False
            if not tidied.more or time.monotonic() - began >= self._round_seconds or self._stopped.is_set():
                return tidied.more

    def _told(self, tidied: Tidied) -> None:
        """Log what a script did."""
        for buried in tidied.buried:
            report.buried(buried.key, buried.reason, buried.mobile, buried.task_id)
        for key in tidied.missing:
            log.error(Event.RECORD_MISSING, key=key, alert="warn", runbook="record-missing")
        if tidied.hinted:
            log.debug(Event.UPKEEP_RAN, hinted=tidied.hinted, buried=len(tidied.buried))

    def _sweep(self) -> bool:
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
        return False

    def _report(self, trouble: str) -> None:
        """Log the beginning and the end of an outage, and nothing in between."""
        if trouble and not self._failing:
            log.warning(Event.UPKEEP_FAILED, cause=trouble, alert="warn", runbook="redis-away")
        elif self._failing and not trouble:
            log.info(Event.UPKEEP_RECOVERED)
        self._failing = bool(trouble)

    def _report_newer(self, count: int) -> None:
        """Log now and then that records wait for workers of a later version."""
        self._newer_rounds = self._newer_rounds + 1 if count else 0
        now = time.monotonic()
        if self._newer_rounds >= _NEWER_ROUNDS and now - self._newer_reported_at >= _NEWER_AGAIN_SECONDS:
            self._newer_reported_at = now
            log.error(Event.RECORD_NEWER, count=count, alert="page", runbook="deploy")

    def _watch_retention(self) -> None:
        """Log once that a spill hangs: its own thread cannot."""
        hangs = self._retention is not None and self._retention.busy_seconds() > _SPILL_SECONDS
        if hangs and not self._spill_hangs:
            log.error(
                Event.SPILL_FAILED,
                cause=f"not done after {_SPILL_SECONDS:g} s: the spill directory may hang",
                alert="page",
                runbook="failure-queue-full",
            )
        self._spill_hangs = hangs
