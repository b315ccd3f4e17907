"""Heartbeat: the heartbeat file, touched by the consuming loop and by nothing else. `worker/process/health.py` looks at its age."""

import time
from pathlib import Path
from typing import Final

import structlog

from config.names import Event

log = structlog.get_logger("voicecode.heartbeat")

_EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Call it whenever consumption has moved; it touches the file at most once a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last = float("-inf")
        self._failing = False

    def __call__(self) -> None:
        """Touch the file; a disk that refuses is told once, and does not stop the worker."""
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
                log.error(  # noqa: TRY400 - the cause says all
                    Event.HEARTBEAT_FAILED,
                    file=str(self._file),
                    cause=str(error),
                    alert="warn",
                    runbook="heartbeat",
                )
