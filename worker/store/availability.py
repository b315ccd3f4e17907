"""Availability: whether Redis answers, and the one error for when it does not."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import redis


class RedisUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Redis did not answer, or refused to write; the text is its own, which holds no value of ours."""

    full: bool = False
    """It has no memory left: trying again at once is no use."""
    lost: bool = False
    """It did not answer at all; an answer that refuses would be the same the next time."""


class RedisAvailability:
    """Remembers when Redis was last out of reach: for a while after its return, outcomes wait to be written.

    `clock`: monotonic seconds.
    """

    def __init__(self, grace_seconds: float, clock: Callable[[], float]) -> None:
        self._grace = grace_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._away = False
        self._back_at: float | None = None
        self.reconnect: Callable[[], None] = lambda: None
        """Called when Redis answers and refuses, to drop idle connections: another one may be the master by now."""

    def failed(self) -> None:
        """Tell that a command did not get through."""
        with self._lock:
            self._away = True

    def succeeded(self) -> None:
        """Tell that a command got through."""
        if self._away:
            with self._lock:
                self._away = False
                self._back_at = self._clock()

    def lenience_seconds(self) -> float:
        """Return for how much longer a lease that is over still counts as alive; 0 most of the time."""
        if self._away:
            return self._grace
        if self._back_at is None:
            return 0.0
        return max(0.0, self._back_at + self._grace - self._clock())


@contextlib.contextmanager
def reaching(availability: RedisAvailability) -> Iterator[None]:
    """Turn redis-py's errors into RedisUnavailable, and remember how it went."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        availability.failed()
        if isinstance(error, redis.ResponseError) and not isinstance(error, redis.OutOfMemoryError):
            availability.reconnect()
        message = f"{type(error).__name__}: {error}"
        unavailable = RedisUnavailable(message)
        unavailable.full = isinstance(error, redis.OutOfMemoryError) or "OOM" in str(error)
        unavailable.lost = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
        raise unavailable from error
    availability.succeeded()
