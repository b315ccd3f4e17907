"""Worker processes forked from one that has imported everything: a hundred of them are cheap.

A forked worker runs Celery's command line with its own environment and log file; only the imported
libraries are shared. It dies with the fork server, and the fork server with its starter.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from tests.support.workers import LIMIT_SECONDS, ROOT, wait_for

_HEAVY: Final = (
    "celery.__main__",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.worker.consumer.tasks",
    "celery.worker.autoscale",
    "celery.fixups.django",
    "billiard.pool",
    "celery.concurrency.thread",
    "worker.transport.consumer",
    "worker.components",
    "worker.transport.channel",
)


class ForkServer:
    """Starts children. A context manager; may be used by several threads."""

    def __enter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.support.fork_server"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=env, text=True
        )
        self._lock = threading.Lock()
        self._ended: dict[int, int] = {}
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate(timeout=30)

    def worker(
        self, log: Path, env: Mapping[str, str], app: str = "tests.support.faulty_app"
    ) -> "ForkedWorker":
        """Fork a worker; `env`: its whole environment."""
        log.touch()
        return ForkedWorker(self, self.ask({"log": str(log), "env": dict(env), "app": app}), log)

    def ask(self, request: Mapping[str, Any]) -> int:
        """Send one request and return the answer."""
        with self._lock:
            if self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


class ForkedWorker:
    """One forked worker."""

    def __init__(self, fork_server: ForkServer, pid: int, log: Path) -> None:
        self.pid: Final = pid
        self.log: Final = log
        self._fork_server = fork_server
        self._status = -1

    @property
    def running(self) -> bool:
        """Whether it is there; a frozen one is."""
        if self._status < 0:
            self._status = self._fork_server.ask({"wait": self.pid})
        return self._status < 0

    def ended(self, seconds: float = LIMIT_SECONDS) -> int:
        """Wait for its end; return its exit status, 128 + the signal's number if one ended it."""
        try:
            wait_for(lambda: not self.running, seconds, "the end of a worker")
        except AssertionError as error:
            message = f"{error}; its log: {self.text()[-2000:]}"
            raise AssertionError(message) from None
        return self._status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a child that has ended gets none."""
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        self.ended()

    def text(self) -> str:
        """Return everything that it wrote."""
        return self.log.read_text(errors="replace")


def _serve() -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    children: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            pid = request["wait"]
            if children[pid] < 0:
                found, status = os.waitpid(pid, os.WNOHANG)
                code = os.waitstatus_to_exitcode(status) if found else 0
                children[pid] = -1 if not found else code if code >= 0 else 128 - code
            answer = children[pid]
        else:
            answer = os.fork()
            if answer == 0:
                _become_worker(request)
            children[answer] = -1
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid, status in children.items():
        if status < 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _become_worker(request: Mapping[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["celery", "-A", request["app"], "worker"]
    from celery.__main__ import main  # noqa: PLC0415 - in the child only

    try:
        main()
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:  # noqa: BLE001 - what ends a child must not go on in the parent's loop
        import traceback  # noqa: PLC0415 - rarely

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _serve()
