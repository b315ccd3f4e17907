"""The canary on a real worker: it stops a replay before the replay does harm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config import settings
from tests.support.dead_letters import dead_letter, load
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, wait_for
from worker.embedded.server import Server
from worker.failure_queue import Choice, FailureQueue, Filter, Pace, Progress
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

COUNT = 1000


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def queue(server: Server, simulator: RunningSimulator, tmp_path: Path) -> Iterator[FailureQueue]:
    """Give a queue of 1,000 sendable dead letters, and a worker beside it."""
    configuration = settings.load(broker_url=server.url)
    queue = FailureQueue(connect(configuration), configuration, operator="night shift")
    now = queue.now()
    load(queue.client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(COUNT)])
    with RunningWorker(
        tmp_path / "worker.log", environment(broker_url=server.url, gateway_url=simulator.url)
    ).wait_ready():
        yield queue


def replay(queue: FailureQueue) -> Progress:
    run = queue.replay(queue.plan(Filter(), Choice()).keys, Choice(), Pace(canary=True))
    for _ in run:
        pass
    return run.progress


def test_an_account_that_runs_dry_again_stops_the_rest(
    queue: FailureQueue, simulator: RunningSimulator
) -> None:
    """What was not replayed stays, what failed again comes back, and nobody is called twice."""
    simulator.client.balance(50)
    progress = replay(queue)
    assert "failed with 4051: the account is still at fault" in progress.stopped
    assert 50 < progress.replayed < COUNT / 2
    wait_for(lambda: queue.stats().total == COUNT - 50, LIMIT_SECONDS, "those replayed in vain to die again")
    called = [call.mobile for call in simulator.client.calls()]
    assert len(called) == len(set(called)) == 50


def test_a_gateway_that_cannot_be_reached_stops_it_at_the_first_code(
    queue: FailureQueue, simulator: RunningSimulator
) -> None:
    """One attempt shows that this host cannot call; the code itself waits for its retry."""
    simulator.client.refuse(30)
    progress = replay(queue)
    assert "connect_refused: the host is still at fault" in progress.stopped
    assert progress.replayed == 1


def test_a_gateway_that_takes_them_gets_them_all(queue: FailureQueue, simulator: RunningSimulator) -> None:
    progress = replay(queue)
    assert (progress.replayed, progress.stopped) == (COUNT, "")
    wait_for(lambda: len(simulator.client.calls()) == COUNT, LIMIT_SECONDS, "the calls")
    assert queue.stats().total == 0
