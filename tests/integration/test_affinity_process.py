"""A real process under load keeps to one core: a child with busy threads, seen from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import load
from tests.support.workers import LIMIT_SECONDS, ROOT, wait_for
from worker.components import Components
from worker.embedded.server import Server
from worker.process.affinity import MARGIN
from worker.process.cpu import busy_seconds

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there is one core only, or no choice of them",
)

# Digests are computed without the interpreter's lock: several threads get their share of a machine
# that others load as well.
BURN = """
import hashlib, sys, threading
go, load = threading.Event(), bytes(1 << 20)
def burn():
    while go.wait():
        hashlib.sha256(load)
for _ in range(int(sys.argv[1])):
    threading.Thread(target=burn, daemon=True).start()
"""
CHILD = """
from worker.process import affinity as core
def fail(*_, **__):
    raise RuntimeError("a bug")
def forbid(*_, **__):
    raise PermissionError("not allowed")
watch = core.CpuAffinity()
words = {"burn": go.set, "rest": go.clear, "stop": watch.stop}
words["break"] = lambda: setattr(core, "wants_core", fail)
words["forbid"] = lambda: setattr(core.Reading, "take", forbid)
watch.start()
for line in sys.stdin:
    words[line.strip()]()
    print("done", flush=True)
"""


class Child:
    """A process with busy threads; `say`: what it shall do."""

    def __init__(self, log: Path, program: str = BURN + CHILD, threads: int = 4) -> None:
        self.log = log
        command = [sys.executable, "-c", program, str(threads)]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def say(self, *words: str) -> None:
        assert self.process.stdin
        for word in words:
            self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()

    def cores(self) -> set[frozenset[int]]:
        return cores(self.process.pid)

    def wait_kept(self, *, but: int | None = None, seconds: float = 40) -> int:
        """Wait until all its threads are on one core, and return that."""

        def look() -> list[int]:
            found = self.cores()
            return [core for one in found for core in one if len(found) == len(one) == 1 and core != but]

        began, before = time.monotonic(), busy_seconds()
        try:
            (core,) = wait_for(look, seconds, f"a core of its own; now: {self.cores()}")
        except AssertionError:
            after, passed = busy_seconds(), time.monotonic() - began
            if all((after[n] - before[n]) / passed > 1 - MARGIN for n in os.sched_getaffinity(0)):
                pytest.skip("no core had room: this machine has other work")
            raise
        return int(core)

    def wait_free(self) -> None:
        allowed = {frozenset(os.sched_getaffinity(0))}
        wait_for(lambda: self.cores() == allowed, LIMIT_SECONDS, "all cores")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()


def cores(pid: int) -> set[frozenset[int]]:
    """Return the sets of cores on which a process's threads may run."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.add(frozenset(os.sched_getaffinity(int(task.name))))
        except ProcessLookupError:
            continue
    return found


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child(tmp_path / "child.log", threads=2)
    yield child
    child.end()


def test_all_threads_keep_to_one_core_under_load_and_to_none_at_rest(child: Child) -> None:
    child.wait_free()
    child.say("burn")
    child.wait_kept()
    child.say("rest")
    child.wait_free()


def test_a_process_leaves_a_core_that_others_use(child: Child, tmp_path: Path) -> None:
    """Somebody else's container may have begun there: keeping to the core would halve both."""
    child.say("burn")
    core = child.wait_kept()
    crowd = Child(
        tmp_path / "crowd.log",
        f"import os; os.sched_setaffinity(0, [{core}])" + BURN + "go.set(); sys.stdin.read()",
    )
    try:
        child.wait_kept(but=core, seconds=5)
    finally:
        crowd.end()


@pytest.mark.parametrize(("how", "tells"), [("break", True), ("forbid", False), ("stop", False)])
def test_whatever_ends_the_watch_all_cores_are_free_again(child: Child, how: str, *, tells: bool) -> None:
    """A bug is logged and the process goes on, on all of its cores."""
    child.say("burn")
    child.wait_kept()
    child.say(how)
    child.wait_free()
    assert child.process.poll() is None
    assert ("core.failed" in child.log.read_text()) is tells


@pytest.mark.parametrize("keep", [True, False])
def test_a_worker_watches_as_the_setting_says(server: Server, *, keep: bool) -> None:
    values = {"broker_url": server.url, "account": "C1", "apikey": "made-up", "keep_to_one_core": keep}
    components = Components(load(_env_file=None, **values), worker="worker@tests")
    components.start()
    assert components.affinity.is_alive() is keep
    components.close()
    assert not components.affinity.is_alive()
