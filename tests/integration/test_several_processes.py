"""`voicecode worker --processes 2`: real workers under the supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.names import Event
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, ROOT, RunningWorker, environment, wait_for


class Several(RunningWorker):
    """A supervisor and its two workers, which write to one log."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        self._command = [sys.executable, "-m", "worker.cli", "worker", "--processes", "2"]
        self._env = dict(env)
        self._fresh = True
        self._process = self._spawn()

    def pids(self) -> list[int]:
        return [line["pid"] for line in self.lines(Event.WORKER_SPAWNED)]


@pytest.fixture
def several(sandbox: Sandbox) -> Iterator[Several]:
    heartbeat = sandbox.heartbeat()
    log = heartbeat.with_name("several.log")
    env = environment(
        broker_url=sandbox.url, gateway_url=sandbox.simulator.url, heartbeat_file=str(heartbeat)
    )
    with Several(log, env) as running:
        wait_for(
            lambda: len(running.lines(Event.WORKER_STARTED)) == 2 and heartbeat.exists(),
            LIMIT_SECONDS,
            "both to consume",
        )
        yield running


def test_both_deliver_and_both_end_when_asked_to(sandbox: Sandbox, several: Several) -> None:
    keys = sandbox.send_all(60)
    sandbox.wait_state(keys)
    workers = {line["worker"] for line in several.lines(Event.ATTEMPT_FINISHED)}
    assert {name.split("@")[0] for name in workers} == {"worker1", "worker2"}
    assert several.stop() == 0
    assert len(several.lines(Event.WORKER_STOPPED)) == 2
    assert sandbox.standing() == {}


def test_one_that_was_killed_comes_back_and_delivers_meanwhile(sandbox: Sandbox, several: Several) -> None:
    first = several.pids()[0]
    os.kill(first, signal.SIGKILL)
    sandbox.wait_state(sandbox.send_all(20))
    died: dict[str, Any] = sandbox.wait_log(several, Event.WORKER_DIED)
    assert died["status"] == -signal.SIGKILL
    wait_for(lambda: len(several.lines(Event.WORKER_STARTED)) == 3, LIMIT_SECONDS, "another in its place")
    assert several.stop() == 0


def test_no_worker_outlives_its_supervisor(several: Several) -> None:
    """Killed with -9 it can pass nothing on: its workers see the pipe close, and end."""
    several.kill()
    wait_for(lambda: len(several.lines(Event.WORKER_STOPPED)) == 2, LIMIT_SECONDS, "both workers to end")


def test_wrong_settings_are_told_once(sandbox: Sandbox) -> None:
    env = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url, account=None)
    command = [sys.executable, "-m", "worker.cli", "worker", "--processes", "2"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("VOICECODE_ACCOUNT is not set") == 1
