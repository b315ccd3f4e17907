"""Clients of Redis for the ledger, made from the same address that Celery takes."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection

from config.settings import Settings

CONNECT_TIMEOUT_SECONDS: Final = 2.0
SOCKET_TIMEOUT_SECONDS: Final = 2.0
SENTINEL_TIMEOUT_SECONDS: Final = 1.0
"""A frozen master takes connections until Sentinel names another: with 2 s codes waited up to 5.3 s after it had."""
HEALTH_CHECK_SECONDS: Final = 5
"""A frozen server was noticed after 46 s with the default of 25, after 8 s with 5."""


def connect(
    settings: Settings, *, retries: int = 1, socket_timeout: float = SOCKET_TIMEOUT_SECONDS
) -> redis.Redis:
    """Return a client with its own pool, shared by any number of threads. It connects at its first command.

    `retries`: how often a command is repeated by the client itself after a lost connection; every script is safe when
    executed twice.
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        # The bytes of an unreadable item stand in its dead letter, which must be readable.
        "encoding_errors": "backslashreplace",
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": socket_timeout,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), retries),
    }
    url = settings.broker_url.get_secret_value()
    if url.startswith("sentinel://"):
        return _by_sentinel(url, settings.sentinel_master, options)
    url = _plain_url(url)
    if url.startswith("unix://"):
        del options["socket_keepalive"]  # TCP's, and refused elsewhere
    return redis.Redis.from_url(url, **options)


def _plain_url(url: str) -> str:
    """Translate kombu's way of writing a Unix socket, `redis+socket:///path?virtual_host=0`, into redis-py's."""
    if not url.startswith("redis+socket://"):
        return url
    parts = urlsplit(url)
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0].strip("/") or "0"
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"unix://{user}{parts.path}?db={database}"


class _FollowingConnection(SentinelManagedConnection):  # type: ignore[misc] # untyped in redis-py
    """Asks Sentinel again each time it connects.

    redis-py's own repeats a command at the address that it had: a frozen master takes the connection, and costs one time-out more.
    """

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's signature
        if not self._sock:
            self.connect()
        super().send_packed_command(command, check_health=check_health)


def _by_sentinel(url: str, master: str, options: dict[str, Any]) -> redis.Redis:
    addresses = [urlsplit(part if "://" in part else f"sentinel://{part}") for part in url.split(";")]
    first = addresses[0]
    path = first.path.strip("/") or addresses[-1].path.strip("/")
    if first.password:
        options["password"] = unquote(first.password)
    if first.username:
        options["username"] = unquote(first.username)
    options["db"] = int(path or 0)
    options["socket_timeout"] = min(options["socket_timeout"], SENTINEL_TIMEOUT_SECONDS)
    sentinel = Sentinel(
        [(a.hostname or "127.0.0.1", a.port or 26379) for a in addresses],
        # redis-py's own ten repetitions would wait for a dead one of them while another one knows the master.
        sentinel_kwargs={
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": CONNECT_TIMEOUT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        },
    )
    client: redis.Redis = sentinel.master_for(master, connection_class=_FollowingConnection, **options)
    return client


class LedgerUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake
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
    """Turn redis-py's errors into LedgerUnavailable, and remember how it went."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        availability.failed()
        if isinstance(error, redis.ResponseError) and not isinstance(error, redis.OutOfMemoryError):
            availability.reconnect()
        message = f"{type(error).__name__}: {error}"
        unavailable = LedgerUnavailable(message)
        unavailable.full = isinstance(error, redis.OutOfMemoryError) or "OOM" in str(error)
        unavailable.lost = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
        raise unavailable from error
    availability.succeeded()
