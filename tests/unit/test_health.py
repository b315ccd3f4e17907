import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.process import health

ROOT = Path(__file__).parents[2]


def check(file: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "worker.process.health"],
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
    assert health.main() == 1
