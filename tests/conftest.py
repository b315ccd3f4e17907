"""What every test may ask for."""

from collections.abc import Iterator

import pytest
import redis

from worker.embedded import Server, start_server


@pytest.fixture(scope="session")
def server_process() -> Iterator[Server]:
    with start_server() as server:
        yield server


@pytest.fixture
def server(server_process: Server) -> Server:
    """Give a running, empty Redis of our own, shared by the session. Start another one to change its configuration."""
    if not server_process.running:
        server_process.restart()
    server_process.flush()
    return server_process


@pytest.fixture
def redis_client(server: Server) -> Iterator[redis.Redis]:
    """Give a client that answers in `str`."""
    with server.client(decode_responses=True) as client:
        yield client
