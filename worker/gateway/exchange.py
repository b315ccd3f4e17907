"""Exchange: how far one request has come, and how much time is left for its next step."""

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
"""A socket's time-out may fire this many seconds before the clock says so."""


class Stage(enum.Enum):
    """How far a request has come. Values: the symptoms of a failure and of a time-out there."""

    READY = (Symptom.NOT_SENT, Symptom.NOT_SENT)
    """Nothing is under way: either not begun, or connected with nothing written yet."""
    RESOLVING = (Symptom.DNS_FAILED, Symptom.DNS_FAILED)
    CONNECTING = (Symptom.CONNECT_REFUSED, Symptom.CONNECT_TIMEOUT)
    PROXYING = (Symptom.PROXY_FAILED, Symptom.PROXY_FAILED)
    """Looking up a proxy, connecting to it, or waiting for its tunnel."""
    HANDSHAKING = (Symptom.TLS_FAILED, Symptom.TLS_FAILED)
    SENT = (Symptom.RESET, Symptom.READ_TIMEOUT)
    """The first byte may have left. From here on the phone may ring."""

    def __init__(self, failed: Symptom, timed_out: Symptom) -> None:
        self.failed: Final = failed
        self.timed_out: Final = timed_out


class Stopped(Exception):  # noqa: N818 - not always an error: time may simply be up
    """The exchange ends here with a symptom.

    Neither an OSError nor an urllib3 error: no layer in between may re-interpret it.
    """

    def __init__(self, symptom: Symptom, detail: str = "") -> None:
        super().__init__(symptom.value)
        self.symptom: Final = symptom
        self.detail: Final = detail


@dataclasses.dataclass(slots=True, kw_only=True)
class Exchange:
    """One request under way. Durations are seconds; `deadline` is on the monotonic clock."""

    deadline: float
    connect_seconds: float
    read_seconds: float
    idle_seconds: float
    resolver: Resolver = dataclasses.field(repr=False)
    stage: Stage = Stage.READY

    def time_left(self, limit: float | None = None) -> float:
        """Return how many seconds the next step may block: `limit`, or less near the deadline.

        Raises Stopped once the deadline has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.out_of_time()
        return left if limit is None or left < limit else limit

    def out_of_time(self) -> Stopped:
        """Return the exception to raise for a time-out at this moment."""
        if self.stage is Stage.SENT and time.monotonic() >= self.deadline - _CLOCK_GRAIN:
            return Stopped(Symptom.DEADLINE)
        return Stopped(self.stage.timed_out)

    def enter(self, stage: Stage) -> None:
        """Begin a stage. Raises Stopped if the deadline has passed, and then nothing may follow.

        The clock is read first: a step that never began must not be blamed for the time.
        """
        self.time_left()
        self.stage = stage

    def leave(self) -> None:
        """Declare that the first byte is about to leave. Raises Stopped if it no longer may."""
        self.stage = Stage.READY
        self.enter(Stage.SENT)


class _Current(threading.local):
    exchange: Exchange | None = None


_current: Final = _Current()


def current() -> Exchange | None:
    """Return this thread's exchange: `HTTPAdapter.send` has no parameter that could carry it."""
    return _current.exchange


@contextlib.contextmanager
def running(exchange: Exchange) -> Iterator[None]:
    """Make it this thread's exchange while the `with` block runs."""
    _current.exchange = exchange
    try:
        yield
    finally:
        _current.exchange = None
