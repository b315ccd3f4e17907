"""The supervisor with one-line programs as workers.

It runs in its own process, since signals go to the main thread.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.workers import LIMIT_SECONDS, ROOT, wait_for
from worker.process.supervisor import cores

BEAT = "import os, pathlib, signal, sys, time; beat = pathlib.Path(os.environ['VOICECODE_HEARTBEAT_FILE'])\n"
NOTE = "open(sys.argv[-1].split('@')[0], 'a').write(f'{os.getpid()}\\n')\n"
WELL = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
BADLY = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
WORK = "beat.touch(); time.sleep(60)\n"

SUPERVISE = """
import os, pathlib, sys
from worker.process.supervisor import Supervisor
folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
command = (sys.executable, "-S", "-c", program)
os.chdir(folder)
options = {"environment": os.environ, "command": command, "pause_seconds": 0.05}
supervisor = Supervisor(2, heartbeat_file=folder / "beat", **options)
sys.exit(supervisor.run())
"""


class Running:
    """A supervisor of two programs."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        command = [sys.executable, "-c", SUPERVISE, str(folder), BEAT + program]
        self.process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
        )

    def pids(self, name: str) -> list[int]:
        file = self.folder / name
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_consuming(self) -> None:
        wait_for((self.folder / "beat").exists, LIMIT_SECONDS, "the heartbeat of all")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    started = Running(tmp_path, request.param)
    assert started.process.stdout
    yield started
    started.process.stdout.close()
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2].startswith("Z")


@pytest.mark.parametrize("running", [WELL + NOTE + WORK], indirect=True)
def test_a_signal_ends_all_of_them_and_then_the_supervisor(running: Running) -> None:
    running.wait_consuming()
    pids = running.pids("worker1") + running.pids("worker2")
    assert len(pids) == 2
    assert running.end() == 0
    assert all(map(gone, pids))


@pytest.mark.parametrize("running", [BADLY + NOTE + WORK], indirect=True)
def test_one_that_ends_badly_shows_in_the_exit_code(running: Running) -> None:
    running.wait_consuming()
    assert running.end() == 1


@pytest.mark.parametrize("running", [WELL + NOTE + WORK], indirect=True)
def test_one_that_died_is_started_again_and_the_other_is_left_alone(running: Running) -> None:
    running.wait_consuming()
    os.kill(running.pids("worker1")[0], signal.SIGKILL)
    wait_for(lambda: len(running.pids("worker1")) == 2, LIMIT_SECONDS, "another process in its place")
    assert len(running.pids("worker2")) == 1
    assert running.end() == 0


@pytest.mark.parametrize("running", [NOTE + "sys.exit(5)"], indirect=True)
def test_those_that_die_before_they_consume_are_given_up(running: Running) -> None:
    """Wrong settings do not heal: whoever started it must see it fail."""
    assert running.process.wait(10) == 1
    assert len(running.pids("worker1")) <= 1


@pytest.mark.parametrize("running", [WELL + NOTE + WORK], indirect=True)
def test_the_heartbeat_is_the_oldest_of_theirs(running: Running) -> None:
    """One that hangs must fail the health check, however well the other does."""
    running.wait_consuming()
    old = time.time() - 1000
    os.utime(running.folder / "beat.2", (old, old))
    (running.folder / "beat.1").touch()
    wait_for(
        lambda: abs((running.folder / "beat").stat().st_mtime - old) < 1, LIMIT_SECONDS, "the older heartbeat"
    )
    for name in ("beat.1.live", "beat.2.live"):
        (running.folder / name).touch()
    os.utime(running.folder / "beat.2.live", (old, old))
    live = running.folder / "beat.live"
    wait_for(lambda: live.exists() and abs(live.stat().st_mtime - old) < 1, LIMIT_SECONDS, "the sign of life")


def test_there_is_one_process_for_each_core_that_may_be_used() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
