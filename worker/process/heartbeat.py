"""Heartbeat: a file that only the consuming loop touches. `health.py` reads its age."""

import time
from pathlib import Path
from typing import Final

import structlog

from config.names import Event

log = structlog.get_logger("voicecode.heartbeat")

_EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Call it on each sign of consumption. It touches the file at most once a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last = float("-inf")
        self._failing = False

    def __call__(self) -> None:
        """Touch the file. A disk that refuses is logged once and does not stop the worker."""
        now = time.monotonic()
        if now - self._last < _EVERY_SECONDS:
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
