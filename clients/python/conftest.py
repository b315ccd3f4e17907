"""A Redis for the client's tests: the one that `REDIS_URL` names, or the project's own."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the address of an empty Redis."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    embedded = pytest.importorskip("worker.embedded.server", reason="name a Redis in REDIS_URL")
    with embedded.start_server() as server:
        yield server.url


@pytest.fixture
def db(server_url: str) -> Iterator[Any]:
    """Give a client of redis-py; the database is empty."""
    with redis.Redis.from_url(server_url, decode_responses=True) as db:
        db.flushdb()
        yield db
