"""Processes that are measured: a program and all that it starts, read from /proc (Linux)."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Self, cast

from worker.embedded import die_with_parent

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_UTIME: Final = 11
"""Index in /proc/PID/stat after the name: utime, stime, and those of ended children."""
_SESSION: Final = 3


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its ended children; 0 once it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[_UTIME : _UTIME + 4])) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _kilobytes(pid: int, file: str, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


class Tree:
    """A program in a session of its own.

    It ends when this process ends; its output goes to a file.
    """

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path) -> None:
        line = [sys.executable, "-I", "-S", str(die_with_parent.__file__), *command]
        self.started_at: Final = time.time()
        with log.open("ab") as file:
            self._guard = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self.log: Final = log
        with cast("IO[bytes]", self._guard.stdout) as words:
            self.pid: Final = int(words.readline() or 0)

    @property
    def running(self) -> bool:
        """Whether the program is there."""
        return self._guard.poll() is None

    def pids(self) -> list[int]:
        """Return the program and everything that it has started."""
        everybody = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [
            pid
            for pid in everybody
            if pid != self._guard.pid and _stat(pid)[_SESSION : _SESSION + 1] == [str(self._guard.pid)]
        ]

    def cpu_seconds(self) -> float:
        """Return what all of them have used."""
        return sum(map(cpu_seconds, self.pids()))

    def megabytes(self) -> float:
        """Return what all of them hold now; a page that several share counts once."""
        return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in self.pids()) / 1024

    def peak_megabytes(self) -> float:
        """Return the sum of each one's highest resident size, shared libraries included."""
        return sum(_kilobytes(pid, "status", "VmHWM") for pid in self.pids()) / 1024

    def stop(self) -> None:
        """End all of them with SIGKILL: what they leave behind is thrown away with the trial."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with cast("IO[bytes]", self._guard.stdin):
            self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
