"""CpuAffinity: a process under load keeps to one core that others leave alone, if there is one.

Python computes on one core at a time, but the kernel lets the threads wander, and handing the
interpreter's lock over to another core costs more. No setting names the core: two containers bound
to core 0 of one host would halve each other.

1. Free, and using half a core: keep to the home core, or to a less busy one.
2. About once a second: if others use the core, move to one that is much less busy.
3. If there is none, run free for ten seconds: the kernel shares a full machine more fairly.
4. After a second at rest: free again.
"""

import contextlib
import dataclasses
import math
import os
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from config.names import Event
from worker.process.cpu import Reading, allowed_cores, place

log = structlog.get_logger("voicecode.core")

BUSY: Final = 0.5
QUIET: Final = 0.2
"""Cores in use: above BUSY a process keeps to a core, below QUIET it is at rest."""
QUIET_SECONDS: Final = 1.0
MARGIN: Final = 0.3
"""Others may use this share of our core. A better core is used less by at least as much."""
_LOOK_SECONDS: Final = 0.2
_LOOK_JITTER: Final = 0.2
_CHOICE_SECONDS: Final = 1.0
_CHOICE_JITTER: Final = 0.5
FULL_SECONDS: Final = 10.0
"""How long a process stays free after finding no core for itself."""

Draw = Callable[[Sequence[int]], int]


def wants_core(*, kept: bool, own: float, quiet_seconds: float) -> bool:
    """Return whether to keep to a core.

    `own`: cores in use by this process. `quiet_seconds`: how long that has been below QUIET.
    """
    return quiet_seconds < QUIET_SECONDS if kept else own >= BUSY


def choose(
    core: int | None, *, home: int, own: float, busy: Mapping[int, float], draw: Draw = random.choice
) -> int | None:
    """Return the core to keep to from now on, None for all of them.

    `core`: the one so far. `own`: cores in use by this process. `busy`: each core's use, 0 to 1.

    A free process may itself be what uses its home, so its own use is subtracted there, too.
    The next choice corrects a wrong guess.
    The core is chosen at random among the better ones: processes must not all pick the same one.
    """
    if sum(busy.values()) < own / 2:  # not even this process shows: these are another machine's figures
        return core
    here = home if core is None else core
    others = busy[here] - own
    if others < MARGIN:
        return here
    better = [other for other, share in busy.items() if others - share >= MARGIN]
    return draw(better) if better else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the watch knows after a look."""

    home: int
    """The core to begin with."""
    last: Reading
    core: int | None = None
    """The core that the process keeps to, None while it is free."""
    quiet_seconds: float = 0.0
    began: Reading | None = None
    """The reading of all cores that the next choice compares with."""
    choose_at: float = math.inf
    """Monotonic seconds from which on the next reading has to cover the cores; infinite at rest."""


def step(state: State, now: Reading, *, pause_seconds: float, draw: Draw = random.choice) -> State:
    """Return the state after a look. `pause_seconds`: until the next choice."""
    seconds, own, _ = now.since(state.last)
    quiet_seconds = state.quiet_seconds + seconds if own < QUIET else 0.0
    seen = dataclasses.replace(state, last=now, quiet_seconds=quiet_seconds)
    if not wants_core(kept=state.core is not None, own=own, quiet_seconds=quiet_seconds):
        return dataclasses.replace(seen, core=None, began=None, choose_at=math.inf)
    if not now.busy:
        return dataclasses.replace(seen, choose_at=now.clock) if state.choose_at == math.inf else seen
    if state.began is None:
        return dataclasses.replace(seen, began=now, choose_at=now.clock + pause_seconds)
    _, own, busy = now.since(state.began)
    core = choose(state.core, home=state.home, own=own, busy=busy, draw=draw)
    if core is None:
        return dataclasses.replace(seen, core=None, began=None, choose_at=now.clock + FULL_SECONDS)
    return dataclasses.replace(seen, core=core, began=now, choose_at=now.clock + pause_seconds)


class CpuAffinity(threading.Thread):
    """Runs until `stop`. However it ends, it frees the process, and the worker goes on."""

    def __init__(self) -> None:
        super().__init__(name="voicecode-core", daemon=True)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Watch, if there is a choice of cores."""
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
            # Also on a clean exit: Celery re-execs in place on SIGHUP and would inherit the mask.
            if allowed:
                with contextlib.suppress(OSError):
                    place(allowed)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=2)

    def _watch(self, allowed: list[int]) -> None:
        state = State(home=_home(allowed), last=Reading.take())
        while not self._stopped.wait(_spread(_LOOK_SECONDS, _LOOK_JITTER)):
            now = Reading.take(allowed if state.choose_at <= time.monotonic() else ())
            before, state = state, step(state, now, pause_seconds=_spread(_CHOICE_SECONDS, _CHOICE_JITTER))
            if state.core is not None and state.began is now:
                place([state.core])  # each time: a thread that started meanwhile is included
            elif state.core is None and before.core is not None:
                place(allowed)
            if state.core != before.core:
                log.debug(Event.CORE_FREED if state.core is None else Event.CORE_KEPT, core=state.core)


def _home(allowed: Sequence[int]) -> int:
    """Return the core to begin with.

    It differs between siblings, and between containers, whose processes all have pid 1.
    """
    return allowed[(zlib.crc32(socket.gethostname().encode()) + os.getpid()) % len(allowed)]


def _spread(seconds: float, jitter: float) -> float:
    return seconds * random.uniform(1 - jitter, 1 + jitter)
