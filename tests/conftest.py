"""What every test may ask for."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from tests.support.sandbox import Sandbox
from tests.support.simulator import start_simulator
from worker.embedded.server import Server, start_server
from worker.simulator.process import RunningSimulator

# No deadline for one example: a busy machine may stop a test for longer than that.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def no_worker_in_this_process() -> Iterator[None]:
    """Keep the worker's app out of this process: its transport would serve all producers."""
    yield
    assert "worker.app" not in sys.modules


@pytest.fixture(scope="session", autouse=True)
def programs_heed_ctrl_c() -> None:
    """Heed SIGINT again if a shell started the tests in the background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server_process() -> Iterator[Server]:
    with start_server() as server:
        yield server


@pytest.fixture
def server(server_process: Server) -> Server:
    """Give a running, empty Redis of our own, shared by the session.

    Start another one to change its configuration.
    """
    if not server_process.running:
        server_process.restart()
    server_process.flush()
    return server_process


@pytest.fixture
def redis_client(server: Server) -> Iterator[redis.Redis]:
    """Give a client that answers in `str`."""
    with server.client(decode_responses=True) as client:
        yield client


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Server]:
    """Start a Redis that only sandboxs use: no other worker may take their messages."""
    with start_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def sandbox_simulator(shared_simulator: RunningSimulator) -> RunningSimulator:
    """Return a gateway without memory: a test before may have had its account frozen."""
    shared_simulator.client.reset()
    return shared_simulator


@pytest.fixture
def sandbox(sandbox_server: Server, sandbox_simulator: RunningSimulator, tmp_path: Path) -> Iterator[Sandbox]:
    """Return an empty Redis, a gateway without memory, and the means to start workers."""
    sandbox_server.flush()
    with Sandbox(sandbox_server, sandbox_simulator, tmp_path) as sandbox:
        yield sandbox
