"""Failover by Sentinel: the master is killed, frozen or demoted, and workers follow."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu.exceptions
import pytest

from tests.support.sandbox import Sandbox, message
from tests.support.sentinels import Sentinels
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

BOUND_SECONDS = 15
PATIENT: dict[str, Any] = {
    "lease_seconds": 4,
    "hold_seconds": 2,
    "visibility_timeout_seconds": 5,
    "code_ttl_seconds": 120,
}


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    with Sentinels(tmp_path / "nodes") as sentinels:
        yield sentinels


def kill(sentinels: Sentinels, master: Server) -> None:
    del sentinels
    master.kill()


def freeze(sentinels: Sentinels, master: Server) -> None:
    del sentinels
    os.kill(master.pid, signal.SIGSTOP)


def demote(sentinels: Sentinels, master: Server) -> None:
    """Turn it into a replica while its connections stay up.

    The sentinels alone would take ten seconds.
    """
    sentinels.demote()
    new = sentinels.wait_master(master)
    with master.client() as client:
        client.replicaof("127.0.0.1", new.port)


def send(sandbox: Sandbox, mobile: str) -> str:
    """Send like a producer that repeats a failed publish with the same key."""
    for _ in range(5):
        with contextlib.suppress(kombu.exceptions.OperationalError):
            return sandbox.send(mobile, key=f"to{mobile[-4:]}")
    return sandbox.send(mobile, key=f"to{mobile[-4:]}")


@pytest.mark.parametrize("trouble", [kill, freeze, demote], ids=lambda trouble: trouble.__name__)
def test_workers_follow_the_master(
    sentinels: Sentinels, sandbox_simulator: RunningSimulator, tmp_path: Path, trouble: Any
) -> None:
    """Replicated codes survive the fault; calls in hand are recorded on the new master."""
    old = sentinels.master
    with Sandbox(old, sandbox_simulator, tmp_path, url=sentinels.url) as sandbox:
        workers = [sandbox.worker(ready=False, **PATIENT) for _ in range(2)]
        for worker in workers:
            worker.wait_ready()
        sandbox.wait_waiting(2)
        sandbox.gateway.rates({"slow:0.6": 1.0})
        keys = sandbox.send_all(6)
        wait_for(lambda: len(sandbox.gateway.submissions()) == 6, LIMIT_SECONDS, "calls in hand")
        assert sandbox.redis.wait(1, 5000) == 1  # as a careful producer asks for
        started = time.monotonic()
        trouble(sentinels, old)
        new = sentinels.wait_master(old)
        back = time.monotonic()
        with Sandbox(new, sandbox_simulator, tmp_path, url=sentinels.url) as after:
            fresh = [f"fresh{number}" for number in range(3)]
            for key in fresh:
                after.push(message(key, f"1370000000{key[-1]}"))
            after.wait_state(fresh, seconds=BOUND_SECONDS)
            resumed = time.monotonic() - back
            after.wait_state(keys, seconds=2 * BOUND_SECONDS)
            took = f"new master after {back - started:.1f} s, consuming {resumed:.1f} s later"
            print(f"{trouble.__name__}: {took}", end=", ")  # noqa: T201
            print(f"calls in hand recorded after {time.monotonic() - back:.1f} s")  # noqa: T201
            ambiguous = sum(int(after.record(key).get("ambiguous", 0)) for key in keys)
            assert len(sandbox.gateway.calls()) <= 9 + ambiguous
            after.wait_waiting(2)
        if trouble is freeze:
            os.kill(old.pid, signal.SIGCONT)
            wait_for(lambda: sandbox.redis.role()[0] == "slave", LIMIT_SECONDS, "the old master to follow")
            with Sandbox(new, sandbox_simulator, tmp_path, url=sentinels.url) as after:
                after.wait_state(send(after, "13700000009"), seconds=BOUND_SECONDS)
        assert all(worker.running for worker in workers)
