"""What people who know Celery type by habit: log file, log level, concurrency, detached workers."""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config import names
from config.names import Event
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, ROOT, environment, wait_for
from worker.process import health


def lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def events(log: Path) -> list[str]:
    return [line["event"] for line in lines(log)]


def started_in(log: Path) -> bool:
    return Event.WORKER_STARTED in events(log)


def celery(sandbox: Sandbox, *words: str, **values: Any) -> subprocess.CompletedProcess[str]:
    given = {"broker_url": sandbox.url, "gateway_url": sandbox.simulator.url, **values}
    return subprocess.run(
        [sys.executable, "-m", "celery", *words],
        cwd=ROOT,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_log_file_gets_every_line_at_the_level_that_was_asked_for(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "own-worker1.log"
    worker = sandbox.worker(
        ready=False, options=(f"--logfile={tmp_path}/own-%n.log", "-l", "warning", "-c", "3")
    )
    wait_for(lambda: "redis.risky" in events(log), LIMIT_SECONDS, "a line in the file")
    sandbox.wait_state(sandbox.send_all(2))
    worker.stop()
    assert Event.WORKER_STARTED not in events(log)
    assert '"event"' not in worker.text()


def test_what_was_rotated_away_is_opened_again(sandbox: Sandbox, tmp_path: Path) -> None:
    log = tmp_path / "own.log"
    sandbox.worker(ready=False, options=(f"--logfile={log}", "-l", "info"))
    wait_for(lambda: Event.WORKER_STARTED in events(log), LIMIT_SECONDS, "the start")
    log.rename(tmp_path / "own.log.1")
    sandbox.wait_state(sandbox.send())
    wait_for(lambda: Event.ATTEMPT_FINISHED in events(log), LIMIT_SECONDS, "a line in the new file")


def test_the_start_tells_the_concurrency_that_is_in_force(sandbox: Sandbox) -> None:
    worker = sandbox.worker(concurrency=50, stop_sending=True, options=("-c", "3"))
    fleet = f"{names.SENDING}:fleet"
    wait_for(lambda: sandbox.redis.hlen(fleet), LIMIT_SECONDS, "its report")
    assert [line["concurrency"] for line in worker.lines(Event.WORKER_STARTED)] == [3]
    said = json.loads(next(iter(sandbox.redis.hvals(fleet))))
    assert said["slots"] == 3


def test_a_detached_worker_writes_its_log_and_why_it_did_not_start(sandbox: Sandbox, tmp_path: Path) -> None:
    log, pid = tmp_path / "detached.log", tmp_path / "detached.pid"
    files = (f"--logfile={log}", f"--pidfile={pid}")
    beat = str(tmp_path / "beat")
    assert celery(sandbox, "-A", "worker", "worker", "-D", "-Q", "foo", *files).returncode == 0
    wait_for(lambda: "worker.refused" in events(log), LIMIT_SECONDS, "the refusal")
    done = celery(sandbox, "-A", "worker", "worker", "-D", "-l", "info", *files, heartbeat_file=beat)
    assert done.returncode == 0
    try:
        wait_for(lambda: Event.WORKER_STARTED in events(log), LIMIT_SECONDS, "the start")
        sandbox.wait_state(sandbox.send())
    finally:
        process = int(pid.read_text())
        os.kill(process, signal.SIGTERM)
        wait_for(lambda: Event.WORKER_STOPPED in events(log), LIMIT_SECONDS, "the end")


def test_celery_multi_starts_and_stops_workers_with_logs_of_their_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    pids = f"--pidfile={tmp_path}/%n.pid"
    started = celery(
        sandbox,
        "multi",
        "start",
        "a",
        "b",
        "-A",
        "worker",
        "-l",
        "info",
        f"--logfile={tmp_path}/%n.log",
        pids,
    )
    assert started.returncode == 0
    for log in logs:
        wait_for(functools.partial(started_in, log), LIMIT_SECONDS, f"a start in {log}")
    assert celery(sandbox, "multi", "stopwait", "a", "b", "-A", "worker", pids).returncode == 0
    assert [events(log)[-1] for log in logs] == [Event.WORKER_STOPPED] * 2


def test_two_services_on_one_host_do_not_hide_each_others_death(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a file named after it, and a second one of the same name takes yet another."""
    monkeypatch.setenv("HEARTBEAT_PREFIX", str(tmp_path / "beat"))
    called = ("one@tests", "two@tests", "two@tests")
    workers = [
        sandbox.worker(app="tests.support.beating_app", heartbeat_file=None, options=("-n", name))
        for name in called
    ]

    def problem(option: str = "--ready") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.beating_app", option],
            cwd=ROOT,
            env={**os.environ, "VOICECODE_HEARTBEAT_MAX_AGE_SECONDS": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr

    wait_for(lambda: problem() == "", LIMIT_SECONDS, "the health of all")
    assert {path.name for path in tmp_path.glob("beat.*")} >= {"beat.one@tests", "beat.two@tests"}
    for worker in workers:
        worker.signal(signal.SIGSTOP)
        wait_for(lambda: "the worker does not consume" in problem(), LIMIT_SECONDS, "ill health")
        worker.signal(signal.SIGCONT)
        wait_for(lambda: problem() == "", LIMIT_SECONDS, "health again")
    workers[0].kill()
    workers[1].stop()
    assert problem() == "", "the files of the dead are passed over"
    workers[2].stop()
    assert "no worker on this machine" in problem()
    assert health.USAGE in problem("--alive")
