"""CpuAffinity: a process under load keeps to one core; at rest it runs on all that it may.

Python computes on one core at a time, but the kernel lets the threads wander, and handing over the interpreter's lock is
dearer between cores. No setting names the core: two containers, each bound to core 0 of one host, would halve each other.

1. free, and half a core in use: keep to the home core, or to a less busy one
2. about each second: where others use the core that much more than another one is used, move there
3. a second at rest: free again
"""

import contextlib
import os
import random
import socket
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from config.names import Event
from worker.process.cpu import Reading, allowed_cores, place

log = structlog.get_logger("voicecode.core")

BUSY: Final = 0.5
QUIET: Final = 0.2
"""Cores in use: from the one on a process keeps to a core, below the other it is at rest."""
QUIET_SECONDS: Final = 1.0
MARGIN: Final = 0.3
"""Another core must be that much less busy than others keep ours."""
_LOOK_SECONDS: Final = 0.2
_LOOK_JITTER: Final = 0.2
_CHOICE_SECONDS: Final = 1.0
_CHOICE_JITTER: Final = 0.5


def wants_core(*, kept: bool, own: float, quiet_seconds: float) -> bool:
    """Return whether to keep to a core. `own`: cores in use; `quiet_seconds`: for how long that was below QUIET."""
    return quiet_seconds < QUIET_SECONDS if kept else own >= BUSY


def choose(
    core: int | None,
    *,
    home: int,
    own: float,
    busy: Mapping[int, float],
    draw: Callable[[Sequence[int]], int] = random.choice,
) -> int | None:
    """Return the core to keep to from now on. `core`: the one so far, None: free; `busy`: the use of each allowed core, 0 to 1.

    What keeps a free process' home busy may be itself, so its use is taken off there as well; where that was wrong, the next
    choice mends it. Drawn among the better ones, lest all who look at once go to the same.
    """
    if sum(busy.values()) < own / 2:  # figures that do not even show ourselves are not those of this machine
        return core
    here = home if core is None else core
    others = busy[here] - own
    better = [other for other, share in busy.items() if others - share >= MARGIN]
    return draw(better) if better else here


class CpuAffinity(threading.Thread):
    """Runs until `stop`. Its end frees the process, whatever the cause, and the worker goes on without it."""

    def __init__(self) -> None:
        super().__init__(name="voicecode-core", daemon=True)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Watch, where there is a choice."""
        allowed: list[int] = []
        try:
            allowed = allowed_cores()
            if allowed:
                self._watch(allowed)
            else:
                log.debug(Event.CORE_FREED, cause="there is no choice of cores here")
        except OSError as error:
            log.debug(Event.CORE_FREED, cause=str(error))
        except Exception:
            log.warning(Event.CORE_FAILED, exc_info=True, alert="warn", runbook="worker-bug")
        finally:
            # At a good end, too: a process that Celery starts over in place (SIGHUP) would never get its other cores back.
            if allowed:
                with contextlib.suppress(OSError):
                    place(allowed)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=2)

    def _watch(self, allowed: list[int]) -> None:
        home, core, quiet_seconds, due = _home(allowed), None, 0.0, 0.0
        last, began = Reading.take(), None
        while not self._stopped.wait(_spread(_LOOK_SECONDS, _LOOK_JITTER)):
            now, before = Reading.take(), core
            seconds, own, _ = now.since(last)
            last, quiet_seconds = now, quiet_seconds + seconds if own < QUIET else 0.0
            if not wants_core(kept=core is not None, own=own, quiet_seconds=quiet_seconds):
                began = core = None
            elif began is None:
                began = Reading.take(allowed)
            elif now.clock >= due:
                _, own, busy = Reading.take(allowed).since(began)
                core = choose(core, home=home, own=own, busy=busy)
                if core is not None:
                    place([core])
                began, due = Reading.take(allowed), now.clock + _spread(_CHOICE_SECONDS, _CHOICE_JITTER)
            if core != before:
                if core is None:
                    place(allowed)
                log.debug(Event.CORE_FREED if core is None else Event.CORE_KEPT, core=core)


def _home(allowed: Sequence[int]) -> int:
    """Return the core to begin with: another one for each sibling, and for each container, whose processes all have pid 1."""
    return allowed[(zlib.crc32(socket.gethostname().encode()) + os.getpid()) % len(allowed)]


def _spread(seconds: float, jitter: float) -> float:
    return seconds * random.uniform(1 - jitter, 1 + jitter)
