"""Availability: whether Redis answers, and the one error for when it does not."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import redis


class RedisUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Redis did not answer, or refused to write. The text is redis-py's and holds no value."""

    full: bool = False
    """Redis has no memory left: a retry at once would fail too."""
    lost: bool = False
    """Redis did not answer at all. A Redis that answers and refuses would refuse again."""


class RedisAvailability:
    """Remembers when Redis was last out of reach.

    For `grace_seconds` after its return, outcomes may still wait to be written. `clock`: monotonic
    seconds.
    """

    def __init__(self, grace_seconds: float, clock: Callable[[], float]) -> None:
        self._grace = grace_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._away = False
        self._back_at: float | None = None
        self.reconnect: Callable[[], None] = lambda: None
        """Drops idle connections when Redis answers and refuses: the master may have changed."""

    def failed(self) -> None:
        """Note that a command did not get through."""
        with self._lock:
            self._away = True

    def succeeded(self) -> None:
        """Note that a command got through."""
        if self._away:
            with self._lock:
                self._away = False
                self._back_at = self._clock()

    @property
    def away(self) -> bool:
        """Whether the latest command did not get through."""
        return self._away

    def lenience_seconds(self) -> float:
        """Return how much longer a lease that has run out still holds; 0 most of the time."""
        if self._away:
            return self._grace
        if self._back_at is None:
            return 0.0
        return max(0.0, self._back_at + self._grace - self._clock())


@contextlib.contextmanager
def reaching(availability: RedisAvailability) -> Iterator[None]:
    """Turn redis-py's errors into RedisUnavailable, and note whether Redis answered."""
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
