"""Replay: puts dead letters back at a pace, in stages, and stops when it would do harm.

One step of one script takes a code out of the failure queue and makes it due. A run may therefore
stop anywhere and be repeated, and two operators who replay the same codes replay each of them once.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import redis

from config import names
from worker.failure_queue.canary import Canary
from worker.failure_queue.runs import KEPT_SECONDS, Runs, replayed_by
from worker.failure_queue.statuses import ReplayStatus, read_statuses
from worker.store.scripts import Script

_CHUNK: Final = 20
"""Keys in one script, and in one round trip: 1 to 2 ms of the server's time.

Redis runs what arrives together without serving its other clients in between.
"""
_STAGES: Final = (1, 10)
_IN_FLIGHT: Final = 300
"""With a canary, at most this many replays are in flight; the rest wait in the failure queue."""
_POLL_SECONDS: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a replay proceeds."""

    per_second: float | None = None
    canary: bool = False
    """Replay 1 first, then 10, then the rest."""
    patience_seconds: float = 30.0
    """With a canary: give up when no attempt has ended for this long."""

    def __str__(self) -> str:
        rate = f"{self.per_second:g}/s" if self.per_second else "no rate"
        return rate + (", canary" if self.canary else "")


@dataclasses.dataclass(slots=True, kw_only=True)
class Progress:
    """How far a replay has come."""

    run: str
    total: int
    statuses: collections.Counter[ReplayStatus] = dataclasses.field(default_factory=collections.Counter)
    """How many were replayed, and how many were not, by reason."""
    stopped: str = ""
    """Why it stopped early. What it did not reach is still in the failure queue."""

    @property
    def done(self) -> int:
        """Codes that were tried."""
        return self.statuses.total()

    @property
    def replayed(self) -> int:
        """Codes that were put back."""
        return self.statuses[ReplayStatus.REPLAYED]

    def __str__(self) -> str:
        counts = ", ".join(f"{status} {count}" for status, count in self.statuses.items()) or "nothing"
        return f"{counts} of {self.total}" + (f"; stopped: {self.stopped}" if self.stopped else "")


class Replay:
    """One run over a plan's keys.

    Iterate to carry it out; each step gives `progress` after another chunk.

    `arguments`: those of `replay.lua`, without the keys. `asked`: by which filter and choice.
    """

    def __init__(  # noqa: PLR0913 - what a run needs
        self,
        client: redis.Redis,
        keys: Sequence[str],
        *,
        arguments: Mapping[str, Any],
        runs: Runs,
        asked: str,
        pace: Pace,
        run: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.progress = Progress(run=run, total=len(keys))
        self._script = Script(client, "failure_queue/replay")
        self._keys = keys
        self._arguments = arguments
        self._runs = runs
        self._asked = asked
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._canary = Canary(client)

    def __iter__(self) -> Iterator[Progress]:
        run = self.progress.run
        self._runs.begin(run, "replay", f"{self._asked}; {self._pace}", planned=len(self._keys))
        ended = False
        try:
            yield from self._steps()
            ended = True
        finally:
            stopped = self.progress.stopped or ("" if ended else "interrupted")
            self._runs.end(run, "replay", self.progress.statuses, stopped)

    def _steps(self) -> Iterator[Progress]:
        progress, started = self.progress, self._clock()
        while progress.done < progress.total and not progress.stopped:
            replayed = self._put_back(self._keys[progress.done : progress.done + self._size(progress.done)])
            if self._pace.per_second:
                self._sleep(max(0.0, started + progress.done / self._pace.per_second - self._clock()))
            if self._pace.canary:
                self._canary.watch(replayed)
                ends_stage = progress.done <= sum(_STAGES) or progress.done == progress.total
                progress.stopped = self._wait(0 if ends_stage else _IN_FLIGHT)
            progress.stopped = progress.stopped or self._runs.cancelled_by(progress.run)
            yield progress

    def _size(self, done: int) -> int:
        size = _CHUNK if not self._pace.per_second else max(1, min(_CHUNK, int(self._pace.per_second / 4)))
        if not self._pace.canary:
            return size
        if done == 0:
            return _STAGES[0]
        return min(size, sum(_STAGES) - done) if done < sum(_STAGES) else size

    def _put_back(self, chunk: Sequence[str]) -> list[str]:
        touched = [names.DUE, names.EXPIRY, names.DEAD, names.AUDIT, replayed_by(self.progress.run)]
        answers = self._script(touched, **self._arguments, keep_seconds=KEPT_SECONDS, chosen=chunk)
        statuses = read_statuses(ReplayStatus, answers)
        self.progress.statuses.update(statuses)
        return [key for key, status in zip(chunk, statuses, strict=True) if status is ReplayStatus.REPLAYED]

    def _wait(self, allowed: int) -> str:
        """Wait until at most `allowed` attempts are outstanding.

        Return why to stop, or an empty text.
        """
        outstanding, since = len(self._canary), self._clock()
        while True:
            if fault := self._canary.look():
                return str(fault)
            if len(self._canary) <= allowed:
                return ""
            if len(self._canary) != outstanding:
                outstanding, since = len(self._canary), self._clock()
            elif self._clock() - since > self._pace.patience_seconds:
                return f"no attempt ended within {self._pace.patience_seconds:g} s: is a worker running?"
            self._sleep(_POLL_SECONDS)
