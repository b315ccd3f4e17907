"""Worker processes forked from one that has imported everything: a hundred of them are cheap.

A forked worker runs Celery's command line with its own environment and log file; only the imported
libraries are shared. It dies with the fork server, and the fork server with its starter.
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
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

_one: Final = threading.Lock()
_AT_RUN_TIME: Final = ("VOICECODE_", "PYTEST_", "FAULT")
"""Variables that a worker, or an application of the tests, reads after the fork."""


class ForkServer:
    """Starts children. May be used by several threads."""

    def __init__(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.support.fork_server"]
        # In a session of its own: Ctrl-C ends the tests, and these end this process.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=env,
            text=True,
            start_new_session=True,
        )
        self._environment = _lasting(env)
        self._lock = threading.Lock()

    def can_start(self, env: Mapping[str, str]) -> bool:
        """Return whether a child is like a fresh process: settings are all that differs."""
        return _lasting(env) == self._environment

    def start(self, log: Path, env: Mapping[str, str], arguments: Sequence[str]) -> "ForkedProcess":
        """Fork a worker that appends to `log`.

        `env`: its whole environment. `arguments`: those of `celery`.
        """
        pid = self.ask({"log": str(log), "env": dict(env), "arguments": list(arguments)})
        if pid is None:
            raise RuntimeError
        return ForkedProcess(self, pid)

    def ask(self, request: Mapping[str, Any]) -> int | None:
        """Send one request and return the answer."""
        with self._lock:
            if self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: int | None = json.loads(self._process.stdout.readline())
            return answer


def shared() -> ForkServer:
    """Return the fork server of this process. It ends with the process."""
    with _one:
        return _shared()


@functools.cache
def _shared() -> ForkServer:
    return ForkServer()


class ForkedProcess:
    """One forked worker, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, fork_server: ForkServer, pid: int) -> None:
        self.pid: Final = pid
        self.returncode: int | None = None
        self._fork_server = fork_server

    def poll(self) -> int | None:
        """Return its exit status, minus the signal's number if one ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._fork_server.ask({"wait": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _lasting(env: Mapping[str, str]) -> dict[str, str]:
    """Return what a process reads once and for all, when it starts or imports."""
    return {name: value for name, value in env.items() if not name.startswith(_AT_RUN_TIME)}


def _serve() -> Mapping[str, Any] | None:
    """Fork a child for each request. Return its request in a child, and None in the end."""
    for name in _HEAVY:
        importlib.import_module(name)
    children: dict[int, int | None] = {}
    try:
        for line in sys.stdin:
            request: dict[str, Any] = json.loads(line)
            answer: int | None
            if "wait" in request:
                pid = request["wait"]
                if children[pid] is None:
                    children[pid] = _status(pid)
                answer = children[pid]
            else:
                answer = pid = os.fork()
                if pid == 0:
                    children.clear()
                    return request
                children[pid] = None
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        for pid in [pid for pid, status in children.items() if status is None]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return None


def _status(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become_worker(request: Mapping[str, Any]) -> None:
    """Run Celery's command line. The process ends as any other: with its threads, and its text."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["celery", *request["arguments"]]
    from celery.__main__ import main  # noqa: PLC0415 - in the child only

    main()


if __name__ == "__main__":
    asked = _serve()
    if asked is not None:
        _become_worker(asked)
