"""Supervisor: several worker processes as one, since a Python process uses one core at most.

1. Each process gets a name and a heartbeat file of its own.
2. One that died is started again after a pause, which grows while it keeps dying.
3. The health check's file gets their oldest heartbeat: one hanging process fails the check.
4. SIGTERM and SIGINT are passed on as SIGTERM. The supervisor ends when all have ended.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from config.health import live_file
from config.names import Event
from worker.process.heartbeat_file import own_file

log = structlog.get_logger("voicecode.supervisor")

NAME: Final = "worker"
COMMAND: Final = (sys.executable, "-P", "-m", "worker.process.child")
"""`-P`: a folder `config` or `tasks` where somebody stands is not ours."""
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""After living for this long, a process is started again after the shortest pause."""
_LOOK_SECONDS: Final = 0.2


def cores() -> int:
    """Return how many cores this process may use. It ignores a container's limit of CPU time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclasses.dataclass(slots=True)
class _Child:
    name: str
    heartbeat: Path
    pause_seconds: float
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0


class Supervisor:
    """Runs `processes` workers.

    `name`: of the workers, which get a number behind it. `heartbeat_file`: None for one named after
    them. `command`: starts one, given `-n NAME`. `pause_seconds`: before the first restart.
    """

    def __init__(  # noqa: PLR0913 - what to run, and how
        self,
        processes: int,
        *,
        heartbeat_file: Path | None,
        environment: Mapping[str, str],
        name: str = NAME,
        command: tuple[str, ...] = COMMAND,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        host = socket.gethostname()
        self._heartbeat = own_file(heartbeat_file, f"{name}@{host}")
        self._pause = pause_seconds
        self._stopping = False
        self._consumed = False
        self._failed = False
        self._wake = threading.Event()
        self._children = [
            _Child(
                f"{name}{number}@{host}",
                self._heartbeat.with_name(f"{self._heartbeat.name}.{number}"),
                pause_seconds,
            )
            for number in range(1, processes + 1)
        ]

    def run(self) -> int:
        """Run until a signal. Return 1 if a process failed, or died before any consumed, else 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hand_on)
        for child in self._children:
            child.heartbeat.unlink(missing_ok=True)
            live_file(child.heartbeat).unlink(missing_ok=True)
            self._start(child)
        while any(child.process for child in self._children) or not self._stopping:
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            for child in self._children:
                self._look(child)
            self._beat()
        return int(self._failed)

    def _hand_on(self, number: int, _frame: Any) -> None:
        self._stopping = True
        log.info(Event.SUPERVISOR_STOPPING, signal=signal.Signals(number).name)
        self._end_all()
        self._wake.set()

    def _end_all(self) -> None:
        for child in self._children:
            if child.process and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)

    def _start(self, child: _Child) -> None:
        environment = {**self._environment, "VOICECODE_HEARTBEAT_FILE": str(child.heartbeat)}
        # A session of its own: Ctrl-C in a terminal reaches the supervisor only, which asks once
        # for a warm shutdown.
        child.process = subprocess.Popen(  # noqa: S603 - our own program
            [*self._command, "-n", child.name], stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
        log.info(Event.WORKER_SPAWNED, worker=child.name, pid=child.process.pid)
        child.started_at = time.monotonic()
        if self._stopping:  # the signal came during the start
            self._end_all()

    def _look(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if not self._stopping and now >= child.start_again_at:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        if child.process.stdin:
            child.process.stdin.close()
        child.process = None
        if self._stopping:
            # Until Celery has set its handlers the signal itself ends a process, which then had
            # fetched nothing.
            self._failed |= status not in {0, -signal.SIGTERM}
            return
        self._died(child, status, now)

    def _died(self, child: _Child, status: int, now: float) -> None:
        if not self._consumed:
            log.error(
                Event.WORKER_DIED,
                worker=child.name,
                status=status,
                cause="before any of them consumed",
                alert="page",
            )
            self._stopping = self._failed = True
            self._end_all()
            return
        if now - child.started_at >= STEADY_SECONDS:
            child.pause_seconds = self._pause
        child.start_again_at = now + child.pause_seconds
        log.error(
            Event.WORKER_DIED,
            worker=child.name,
            status=status,
            again_in_seconds=child.pause_seconds,
            alert="warn",
            runbook="heartbeat",
        )
        child.pause_seconds = min(child.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _beat(self) -> None:
        """Give the files that the health check looks at the age of the oldest heartbeats."""
        self._consumed |= self._pass_on(lambda heartbeat: heartbeat)
        self._pass_on(live_file)

    def _pass_on(self, file: Callable[[Path], Path]) -> bool:
        """Touch one file, once every process has its own; return whether they all have."""
        try:
            beats = [file(child.heartbeat).stat().st_mtime for child in self._children]
        except OSError:
            return False
        # The workers log a disk that refuses: their files are beside this one.
        with contextlib.suppress(OSError):
            file(self._heartbeat).touch()
            os.utime(file(self._heartbeat), (min(beats), min(beats)))
        return True
