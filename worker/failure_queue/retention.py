"""Retention: retires and purges old dead letters, and spills the oldest when there are too many.

Every worker tries; a lock in Redis admits one per interval. A round is bounded in size, and the
next one does the rest. Even if two rounds overlap, each dead letter leaves once.
"""

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import redis
import structlog

from config import names
from config.checks import PREFIX
from config.names import Event
from config.settings import Settings, SettingsError
from worker.failure_queue.queue import FailureQueue
from worker.failure_queue.retirement import Retirement
from worker.failure_queue.spill import spill
from worker.store.scripts import Script

log = structlog.get_logger("voicecode.failure_queue")

INTERVAL_SECONDS: Final = 5.0
_RETIRED: Final = 5_000
_PURGED: Final = 2_000
_SPILLED: Final = 5_000
_ALERT_SECONDS: Final = 60.0
_CHECK_SECONDS: Final = 5.0
_DAY: Final = 86_400.0


def check_spill_dir(settings: Settings) -> None:
    """Try to write to the spill directory.

    Raises SettingsError, also if the directory does not answer: workers must see it at the start.
    """
    if settings.spill_dir is None:
        return
    trouble = [f"does not answer within {_CHECK_SECONDS:g} s"]

    def check() -> None:
        try:
            with tempfile.NamedTemporaryFile(dir=settings.spill_dir, prefix=".voicecode-"):
                trouble.clear()
        except OSError as error:
            trouble[:] = [f"cannot be written: {error.strerror}"]

    # In a thread of its own: nothing else bounds a file system that hangs.
    thread = threading.Thread(target=check, name="voicecode-spill-check", daemon=True)
    thread.start()
    thread.join(_CHECK_SECONDS)
    if trouble:
        message = f"{PREFIX}SPILL_DIR: {settings.spill_dir} {trouble[0]}"
        raise SettingsError(message)


class Retention:
    """Call `look` every `interval_seconds`: one worker at a time does a round."""

    def __init__(self, queue: FailureQueue, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._queue = queue
        self._client: Any = queue.client
        self._settings = queue.settings
        self._interval = interval_seconds
        self._take_turn = Script(queue.client, "failure_queue/take_turn")
        self._retirement = Retirement(queue.client, queue.settings)
        self._alerted_at: float | None = None

    def look(self) -> None:
        """Do one round if it is this worker's turn.

        Upkeep reports a Redis that is away, not this.
        """
        with contextlib.suppress(redis.RedisError):
            mine = self._take_turn(
                [names.RETENTION_LOCK],
                clock_offset=0,
                version=names.RECORD_VERSION,
                operator=self._queue.operator,
                lock_ms=max(1, int(self._interval * 1000)),
            )
            if mine:
                self._retirement.adopt()
                self._retire()
                self._retain()
                self._bound()

    def _retire(self) -> None:
        """Take codes and numbers out of dead letters that may no longer hold them."""
        codes, numbers = self._retirement.retire(limit=_RETIRED)
        if codes or numbers:
            log.info(Event.DEAD_LETTERS_RETIRED, codes=codes, numbers=numbers)

    def _retain(self) -> None:
        """Purge what is older than the retention."""
        days = self._settings.dead_retention_days
        if not days:
            return
        before = self._queue.now() - max(days * _DAY, self._settings.dedup_horizon_seconds)
        if not self._client.zcount(names.DEAD, "-inf", f"({before!r}"):
            return
        run = self._queue.new_run()
        purged = sum(
            self._queue.removal.purge(before=before, run=run, operator=self._queue.operator, limit=_PURGED)
        )
        log.info(Event.DEAD_LETTERS_PURGED, count=purged, older_than_days=days, run=run)

    def _bound(self) -> None:
        """Move the oldest that can no longer be sent to a file.

        If that fails, the queue grows, and an alert says so.
        """
        total, most = int(self._client.zcard(names.DEAD)), self._settings.dead_letters_max
        if total <= most:
            return
        directory = self._settings.spill_dir
        if directory is None:
            self._alert(total, f"{PREFIX}SPILL_DIR is not set")
        else:
            self._spill(directory, total, min(total - most, _SPILLED))

    def _spill(self, directory: Path, total: int, count: int) -> None:
        try:
            done = spill(self._queue, directory, count)
        except OSError as error:
            facts = {"cause": error.strerror, "alert": "page", "runbook": "failure-queue-full"}
            log.error(Event.SPILL_FAILED, **facts)  # noqa: TRY400 - the cause is not a bug
            self._alert(total, f"{directory} cannot be written")
            return
        if done:
            log.warning(Event.DEAD_LETTERS_SPILLED, count=done.count, file=done.path.name, run=done.run)
        else:
            self._alert(total, "all of them can still be sent, or died too recently")

    def _alert(self, total: int, why: str) -> None:
        now = time.monotonic()
        if self._alerted_at is None or now - self._alerted_at >= _ALERT_SECONDS:
            self._alerted_at = now
            facts = {"total": total, "bound": self._settings.dead_letters_max, "why": why}
            log.error(Event.DEAD_LETTERS_OVER_BOUND, **facts, alert="page", runbook="failure-queue-full")
