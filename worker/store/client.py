"""Clients of Redis for the ledger, from the same address that Celery uses."""

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from config import redis_access
from config.settings import Settings
from worker.store import sentinel

CONNECT_TIMEOUT_SECONDS: Final = 2.0
SOCKET_TIMEOUT_SECONDS: Final = 2.0
HEALTH_CHECK_SECONDS: Final = 5
"""A frozen server is noticed after 8 s; with the default of 25 it took 46 s."""


def connect(
    settings: Settings, *, retries: int = 1, socket_timeout: float = SOCKET_TIMEOUT_SECONDS
) -> redis.Redis:
    """Return a client with a pool for any number of threads. It connects at its first command.

    `retries`: how often the client itself repeats a command after a lost connection; every script
    may run twice.
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        # A dead letter keeps the bytes of an unreadable item, and the dead letter must be readable.
        "encoding_errors": "backslashreplace",
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": socket_timeout,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), retries),
    }
    url = redis_access.broker_url(settings)
    if url.startswith("sentinel://"):
        tls, asked = redis_access.tls_options(settings), redis_access.sentinel_options(settings)
        return sentinel.connect(url, settings.sentinel_master, {**options, **tls}, asked)
    url = _plain_url(url)
    if url.startswith("unix://"):
        del options["socket_keepalive"]  # an option of TCP, refused for other sockets
    return redis.Redis.from_url(url, **options, **redis_access.tls_options(settings))


def _plain_url(url: str) -> str:
    """Return redis-py's form of kombu's `redis+socket:///path?virtual_host=0`; else the URL."""
    if not url.startswith("redis+socket://"):
        return url
    parts = urlsplit(url)
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0].strip("/") or "0"
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"unix://{user}{parts.path}?db={database}"
