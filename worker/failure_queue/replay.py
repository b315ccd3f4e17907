"""Replay: puts dead letters back at a pace, in stages, and stops when it would do harm.

A code leaves the failure queue and becomes due in one step of one script, so that a run may be broken off anywhere and
repeated, and two operators replay each code once.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import redis

from config import names
from worker.failure_queue.canary import Canary
from worker.failure_queue.scan import batched
from worker.store import scripts

_CHUNK: Final = 60
"""Keys in one round trip. Redis carries out what arrives together without looking at its other clients in between."""
_BATCH: Final = 20
"""Keys in one script: 1 to 2 ms of the server's time."""
_STAGES: Final = (1, 10)
_IN_FLIGHT: Final = 300
"""With a canary, so many may be under way: what is beyond them is still in the queue when the account fails."""
_POLL_SECONDS: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a replay proceeds."""

    per_second: float | None = None
    canary: bool = False
    """1 first, then 10, then the rest."""
    patience_seconds: float = 30.0
    """With a canary: how long to wait for attempts to end before giving up."""

    def __str__(self) -> str:
        rate = f"{self.per_second:g}/s" if self.per_second else "no rate"
        return rate + (", canary" if self.canary else "")


@dataclasses.dataclass(slots=True, kw_only=True)
class Progress:
    """How far a replay has come."""

    run: str
    total: int
    words: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """Answers of `replay.lua`: replayed, and why others were not."""
    stopped: str = ""
    """Why it stopped early; what had not been replayed is still in the failure queue."""

    @property
    def done(self) -> int:
        """Codes that were tried."""
        return self.words.total()

    @property
    def replayed(self) -> int:
        """Codes that were put back."""
        return self.words["replayed"]

    def __str__(self) -> str:
        told = ", ".join(f"{word} {count}" for word, count in self.words.items()) or "nothing"
        return f"{told} of {self.total}" + (f"; stopped: {self.stopped}" if self.stopped else "")


class Replay:
    """One run over a plan's keys: iterate to carry it out; each step gives `progress` after another chunk.

    `arguments`: those of the script before the keys; `note`: writes a line about the run into the audit trail.
    """

    def __init__(  # noqa: PLR0913 - what a run needs
        self,
        client: redis.Redis,
        script: Callable[..., Any],
        keys: Sequence[str],
        *,
        arguments: Sequence[Any],
        note: Callable[[str, str], None],
        pace: Pace,
        run: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.progress = Progress(run=run, total=len(keys))
        self._client: Any = client
        self._script = script
        self._keys = keys
        self._arguments = arguments
        self._note = note
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._canary = Canary(client)

    def __iter__(self) -> Iterator[Progress]:
        self._note("begin", f"replay of {len(self._keys)}, {self._pace}")
        try:
            yield from self._steps()
        finally:
            self._note("end", f"replay: {self.progress}")

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
            yield progress

    def _size(self, done: int) -> int:
        size = _CHUNK if not self._pace.per_second else max(1, min(_CHUNK, int(self._pace.per_second / 4)))
        if not self._pace.canary:
            return size
        if done == 0:
            return _STAGES[0]
        return min(size, sum(_STAGES) - done) if done < sum(_STAGES) else size

    def _put_back(self, chunk: Sequence[str]) -> list[str]:
        pipe = self._client.pipeline(transaction=False)
        for batch in batched(chunk, _BATCH):
            self._script(
                keys=[names.DUE, names.EXPIRY, names.DEAD, names.AUDIT],
                args=[*self._arguments, *batch],
                client=pipe,
            )
        answers = [scripts.text(word) for words in pipe.execute() for word in words]
        self.progress.words.update(answers)
        return [key for key, answer in zip(chunk, answers, strict=True) if answer == "replayed"]

    def _wait(self, allowed: int) -> str:
        """Wait until no more than `allowed` attempts are outstanding; return why to stop, or nothing."""
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
