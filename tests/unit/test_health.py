import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from config.health import live_file
from worker.process import health
from worker.process.periodic import Periodic, turns

ROOT = Path(__file__).parents[2]


def check(file: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "worker.process.health", *options],
        cwd=ROOT,
        env={"VOICECODE_HEARTBEAT_FILE": str(file), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_fresh_heartbeat_is_healthy_and_nothing_but_the_standard_library_is_needed(tmp_path: Path) -> None:
    """`-S` hides everything that was installed: the check must not pay for imports."""
    file = tmp_path / "heartbeat"
    file.touch()
    assert check(file) == (0, "")


def test_a_heartbeat_that_stopped_is_unhealthy(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    file.touch()
    os.utime(file, (time.time() - 16,) * 2)
    code, text = check(file)
    assert code == 1
    assert "16 s old, more than 15 s: the worker does not consume" in text
    assert check(file, VOICECODE_HEARTBEAT_MAX_AGE_SECONDS="60") == (0, "")


def test_a_worker_that_never_began_is_unhealthy(tmp_path: Path) -> None:
    code, text = check(tmp_path / "none")
    assert code == 1
    assert "the worker has not begun to consume" in text


@pytest.mark.parametrize("limit", ["soon", "nan"])
def test_a_limit_that_is_no_number_is_never_healthy(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "heartbeat"
    file.touch()
    monkeypatch.setenv("VOICECODE_HEARTBEAT_FILE", str(file))
    monkeypatch.setenv("VOICECODE_HEARTBEAT_MAX_AGE_SECONDS", limit)
    assert health.main([]) == 1


def test_life_is_a_file_of_its_own_and_may_be_four_times_as_old(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    file.touch()
    assert "the worker has not begun" in check(file, "--live")[1]
    live = live_file(file)
    live.touch()
    os.utime(live, (time.time() - 59,) * 2)
    os.utime(file, (time.time() - 16,) * 2)
    assert check(file, "--live") == (0, "")
    assert check(file, "--ready")[0] == 1
    os.utime(live, (time.time() - 61,) * 2)
    assert "61 s old, more than 60 s: the worker hangs" in check(file, "--live")[1]


def test_what_health_does_not_know_is_refused(tmp_path: Path) -> None:
    assert check(tmp_path / "heartbeat", "--alive") == (2, health.USAGE + "\n")
    assert check(tmp_path / "heartbeat", "--help")[0] == 0


def test_a_thread_that_hangs_or_has_ended_does_not_turn() -> None:
    go_on, entered = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        go_on.wait()

    thread = Periodic("test", hang, 0.001)
    assert not turns(thread, 60)
    thread.start()
    entered.wait()
    assert turns(thread, 60)
    assert not turns(thread, 0)
    go_on.set()
    thread.stop(60)
    assert not turns(thread, 60)
