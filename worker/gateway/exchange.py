"""Exchange: how far one request has come and how much time it has left. Everything that blocks asks it."""

import contextlib
import dataclasses
import enum
import threading
import time
from collections.abc import Iterator
from typing import Final

from config.replies import Symptom
from worker.gateway.resolver import Resolver

_CLOCK_GRAIN: Final = 0.002
"""Seconds by which a socket's time-out may seem to come early."""


class Stage(enum.Enum):
    """Where a request stands: what a failure there means, and what running out of time there means."""

    READY = (Symptom.NOT_SENT, Symptom.NOT_SENT)
    """Not begun, or a connection is there and nothing was written to it."""
    RESOLVING = (Symptom.DNS_FAILED, Symptom.DNS_FAILED)
    CONNECTING = (Symptom.CONNECT_REFUSED, Symptom.CONNECT_TIMEOUT)
    PROXYING = (Symptom.PROXY_FAILED, Symptom.PROXY_FAILED)
    """Looking up, connecting to or asking a proxy."""
    HANDSHAKING = (Symptom.TLS_FAILED, Symptom.TLS_FAILED)
    SENT = (Symptom.RESET, Symptom.READ_TIMEOUT)
    """The first byte may have left: from here on the phone may ring."""

    def __init__(self, failed: Symptom, timed_out: Symptom) -> None:
        self.failed: Final = failed
        self.timed_out: Final = timed_out


class Stopped(Exception):  # noqa: N818 - not always an error: the time may simply be over
    """The exchange ends here with a symptom. Neither an OSError nor urllib3's, so that no layer between re-interprets it."""

    def __init__(self, symptom: Symptom, detail: str = "") -> None:
        super().__init__(symptom.value)
        self.symptom: Final = symptom
        self.detail: Final = detail


@dataclasses.dataclass(slots=True, kw_only=True)
class Exchange:
    """One request on its way. Durations are seconds, `deadline` is on the monotonic clock."""

    deadline: float
    connect_seconds: float
    read_seconds: float
    idle_seconds: float
    resolver: Resolver = dataclasses.field(repr=False)
    stage: Stage = Stage.READY

    def time_left(self, limit: float | None = None) -> float:
        """Return how long the next blocking step may take: `limit`, but never past the deadline. Raises Stopped past it."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.out_of_time()
        return left if limit is None or left < limit else limit

    def out_of_time(self) -> Stopped:
        """Return what a time-out now means, to be raised."""
        if self.stage is Stage.SENT and time.monotonic() >= self.deadline - _CLOCK_GRAIN:
            return Stopped(Symptom.DEADLINE)
        return Stopped(self.stage.timed_out)

    def leave(self) -> None:
        """Say that the first byte is about to leave. Raises Stopped where the time is over: then nothing may be written."""
        self.stage = Stage.READY
        self.time_left()
        self.stage = Stage.SENT


class _Current(threading.local):
    exchange: Exchange | None = None


_current: Final = _Current()


def current() -> Exchange | None:
    """Return this thread's exchange. `HTTPAdapter.send` has no room for an argument of ours, so it travels beside it."""
    return _current.exchange


@contextlib.contextmanager
def running(exchange: Exchange) -> Iterator[None]:
    """Make it this thread's exchange for the time of a `with` block."""
    _current.exchange = exchange
    try:
        yield
    finally:
        _current.exchange = None
