"""CPU: how busy each core is by Linux' figures, and on which of them this process runs."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

_STAT: Final = Path("/proc/stat")
_TASKS: Final = "/proc/self/task"


def busy_seconds(stat: str | None = None) -> dict[int, float]:
    """Return how many seconds each core has been busy: neither idle nor stolen by another machine.

    `stat`: the text of /proc/stat.
    """
    found = {}
    for line in (_STAT.read_text() if stat is None else stat).splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq = map(int, ticks[:7])
            found[int(name[3:])] = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Seconds so far: by the clock, of CPU in this process, and in which each core was busy."""

    clock: float
    own: float
    busy: Mapping[int, float]

    @classmethod
    def take(cls, cores: Iterable[int] = ()) -> Self:
        """Read the clocks, and /proc/stat if cores are named: it is expensive on a large host."""
        busy = busy_seconds() if cores else {}
        return cls(clock=time.monotonic(), own=time.process_time(), busy={core: busy[core] for core in cores})

    def since(self, before: Self) -> tuple[float, float, dict[int, float]]:
        """Return the seconds between two readings, this process' use of CPU, and each core's."""
        seconds = max(self.clock - before.clock, 1e-3)
        busy = {
            core: (total - before.busy[core]) / seconds
            for core, total in self.busy.items()
            if core in before.busy
        }
        return seconds, (self.own - before.own) / seconds, busy


def allowed_cores() -> list[int]:
    """Return the cores that this process may choose from, if the system lets it and has figures.

    Some containers renumber the cores in /proc/stat; its figures are then those of other cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    allowed = sorted(os.sched_getaffinity(0))
    return allowed if len(allowed) > 1 and busy_seconds().keys() >= set(allowed) else []


def own_tasks() -> set[int]:
    """Return the ids of this process' threads."""
    return {int(name) for name in os.listdir(_TASKS)}  # noqa: PTH208 - names, no paths


def place(cores: Iterable[int], tasks: Callable[[], set[int]] = own_tasks) -> None:
    """Restrict all threads to these cores. Raises OSError if that is not allowed."""
    done: set[int] = set()
    while new := tasks() - done:  # again: an unrestricted thread may have started one
        for task in new:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(task, cores)
        done |= new
