"""Periodic: a thread that repeats one step, whatever goes wrong in it."""

import random
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from config.names import Event

log = structlog.get_logger("voicecode.upkeep")

_JITTER: Final = 0.2


class Periodic(threading.Thread):
    """Calls `step` every `interval_seconds` until `stop`; at once again if it returns True.

    Each pause is up to a fifth shorter or longer: workers must not march in step.
    """

    def __init__(self, name: str, step: Callable[[], object], interval_seconds: float) -> None:
        super().__init__(name=f"voicecode-{name}", daemon=True)
        self._step = step
        self._interval = interval_seconds
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._began: float | None = None

    def run(self) -> None:
        """Repeat the step."""
        pause = self._pause()
        while not self._ends(pause):
            pause = self._pause()
            self._began = time.monotonic()
            try:
                if self._step() is True:
                    pause = 0
            except Exception:
                log.exception(Event.UPKEEP_FAILED, thread=self.name, alert="page", runbook="worker-bug")
            self._began = None

    def hurry(self) -> None:
        """Take the next step without waiting for the interval's end."""
        self._wake.set()

    def _ends(self, pause: float) -> bool:
        """Wait for the next step; True if the thread is to end."""
        self._wake.wait(pause)
        self._wake.clear()
        return self._stopped.is_set()

    def stop(self, wait_seconds: float) -> None:
        """End the thread after its current step, and wait for that for some seconds."""
        self._stopped.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout=wait_seconds)

    def busy_seconds(self) -> float:
        """Return how long the current step has lasted; 0 between two steps."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def _pause(self) -> float:
        return self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)


class Turning(Protocol):
    """A thread that tells how long its current step has lasted."""

    def is_alive(self) -> bool:
        """Return whether it runs."""

    def busy_seconds(self) -> float:
        """Return how long the current step has lasted; 0 between two steps."""


def turns(thread: Turning, limit_seconds: float) -> bool:
    """Return whether a thread runs, and its current step has lasted for less than the limit."""
    return thread.is_alive() and thread.busy_seconds() < limit_seconds
