"""Sentinel: a client that asks the sentinels for the master each time it connects."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

CONNECT_TIMEOUT_SECONDS: Final = 2.0
SOCKET_TIMEOUT_SECONDS: Final = 1.0
"""A frozen master accepts connections until Sentinel names another one.

With 2 s, codes waited for up to 5.3 s after that.
"""


class _FollowingConnection(SentinelManagedConnection):  # type: ignore[misc] # untyped in redis-py
    """Asks Sentinel again each time it connects.

    redis-py repeats a command at the address it had. A frozen master accepts that connection and
    costs one more time-out.
    """

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's signature
        if not self._sock:
            self.connect()
        super().send_packed_command(command, check_health=check_health)


class _FollowingTLSConnection(_FollowingConnection, SentinelManagedSSLConnection):  # type: ignore[misc] # untyped in redis-py
    """The same over TLS."""


def connect(url: str, master: str, options: dict[str, Any], sentinel_options: dict[str, Any]) -> redis.Redis:
    """Return a client of the master.

    `url`: `sentinel://host:port;sentinel://host:port/db`. `options`, `sentinel_options`:
    redis-py's, for the master and for the sentinels.
    """
    addresses = [urlsplit(part if "://" in part else f"sentinel://{part}") for part in url.split(";")]
    first = addresses[0]
    path = first.path.strip("/") or addresses[-1].path.strip("/")
    if first.password:
        options["password"] = unquote(first.password)
    if first.username:
        options["username"] = unquote(first.username)
    options["db"] = int(path or 0)
    options["socket_timeout"] = min(options["socket_timeout"], SOCKET_TIMEOUT_SECONDS)
    sentinel = Sentinel(
        [(a.hostname or "127.0.0.1", a.port or 26379) for a in addresses],
        # redis-py's ten retries would wait for a dead sentinel while another one knows the master.
        sentinel_kwargs={
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": CONNECT_TIMEOUT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            **sentinel_options,
        },
    )
    connection_class = _FollowingTLSConnection if "ssl_cert_reqs" in options else _FollowingConnection
    client: redis.Redis = sentinel.master_for(master, connection_class=connection_class, **options)
    return client
