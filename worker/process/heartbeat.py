"""Heartbeat: files that the consuming loop touches, whose age `worker/process/health.py` checks.

The heartbeat file means ready: the queue and the ledger answer. The file beside it means live:
the loop and its threads turn, whether or not Redis answers.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from config.names import Event

log = structlog.get_logger("voicecode.heartbeat")

_EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Call it on each sign of life. While `when` holds it touches the file once a second."""

    def __init__(self, file: Path, *, when: Callable[[], bool] = lambda: True) -> None:
        self._file = file
        self._when = when
        self._last = float("-inf")
        self._failing = False

    def __call__(self) -> None:
        """Touch the file. A disk that refuses is logged once and does not stop the worker."""
        now = time.monotonic()
        if now - self._last < _EVERY_SECONDS or not self._when():
            return
        self._last = now
        try:
            self._file.touch()
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._failing = True
                log.error(  # noqa: TRY400 - the cause says it all
                    Event.HEARTBEAT_FAILED,
                    file=str(self._file),
                    cause=str(error),
                    alert="warn",
                    runbook="heartbeat",
                )
