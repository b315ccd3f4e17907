"""Jobs: plans and runs in threads, so that no page waits for a million dead letters."""

import collections
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import redis
import structlog

from config.names import Event
from worker.console.acts.intent import Intent, Intents, State
from worker.console.acts.kinds import KINDS, Begun
from worker.failure_queue import FailureQueue, RunCancelled
from worker.failure_queue.outcomes import Outcome, Outcomes

log = structlog.get_logger("voicecode.console")

_PLANNERS: Final = 2
_RUNNERS: Final = 8
_BEAT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 2.0
_WATCHED: Final = 20

OpenQueue = Callable[[str], FailureQueue]
"""Opens the failure queue in somebody's name."""


class Jobs:
    """`folder`: for exports."""

    def __init__(self, intents: Intents, open_queue: OpenQueue, folder: Path) -> None:
        self.folder = folder
        self._intents = intents
        self._open = open_queue
        self._planners = ThreadPoolExecutor(_PLANNERS, "voicecode-console-plan")
        self._runners = ThreadPoolExecutor(_RUNNERS, "voicecode-console-run")
        self._stopping = threading.Event()

    def plan(self, intent: Intent) -> Future[None]:
        """Plan it."""
        return self._planners.submit(self._guarded, self._plan, intent)

    def carry_out(self, intent: Intent) -> Future[None]:
        """Plan it again, compare, and begin. The future ends when it has begun, or was refused."""
        begun: Future[None] = Future()
        self._runners.submit(self._guarded, lambda one: self._carry_out(one, begun), intent)
        return begun

    def stop(self) -> None:
        """Let runs end after their step: each says in its record that it was interrupted."""
        self._stopping.set()
        self._planners.shutdown(cancel_futures=True)
        self._runners.shutdown(cancel_futures=True)

    def _plan(self, intent: Intent) -> None:
        found = KINDS[intent.kind].plan(self._open(intent.who), intent, self._sayer(intent))
        self._intents.note(
            intent, state=State.PLANNED, count=found.count, total=found.total, facts=dict(found.facts)
        )

    def _carry_out(self, intent: Intent, begun: "Future[None]") -> None:
        try:
            started = self._begin(intent)
        finally:
            begun.set_result(None)
        if started is None:
            return
        steps = iter(started.steps)
        try:
            for _ in steps:
                if self._stopping.is_set():
                    break
        except RunCancelled:
            return  # the run's page says by whom
        finally:
            if close := getattr(steps, "close", None):
                close()

    def _begin(self, intent: Intent) -> Begun | None:
        kind, queue = KINDS[intent.kind], self._open(intent.who)
        found = kind.plan(queue, intent, self._sayer(intent))
        if not intent.allows(found.count):
            self._intents.note(intent, state=State.REFUSED, problem="refused.grown", looked_at=found.count)
            return None
        started = kind.begin(queue, intent, found, self.folder)
        if not started.run:  # an order: it is one step
            collections.deque(started.steps, maxlen=0)
        about = {"action": intent.kind, "operator": intent.who, "run": started.run, "count": found.count}
        log.info(Event.CONSOLE_ACTED, **about)
        self._intents.note(intent, state=State.DONE, run=started.run)
        return started if started.run else None

    def _sayer(self, intent: Intent) -> Callable[[int], None]:
        last = time.monotonic()

        def say(count: int) -> None:
            nonlocal last
            if self._stopping.is_set():
                raise InterruptedError
            if time.monotonic() - last > _BEAT_SECONDS:
                last = time.monotonic()
                self._intents.note(intent, looked_at=count)

        return say

    def _guarded(self, step: Callable[[Intent], None], intent: Intent) -> None:
        """Tell the person who waits, whatever goes wrong."""
        try:
            step(intent)
        except InterruptedError:
            return  # the page says so, once the beat is missing
        except Exception as error:  # noqa: BLE001 - the thread's outermost one
            problem = "refused.filter" if isinstance(error, ValueError) else "refused.failed"
            log.warning(Event.CONSOLE_FAILED, action=intent.kind, cause=type(error).__name__)
            try:
                self._intents.note(intent, state=State.REFUSED, problem=problem)
            except redis.RedisError:
                return


class Watched:
    """What has become of the codes of runs that somebody looks at. Each look is a thread's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks = ThreadPoolExecutor(1, "voicecode-console-look")
        self._known: collections.OrderedDict[str, tuple[float, Outcomes | None, dict[Outcome, int]]]
        self._known = collections.OrderedDict()
        self._looking: dict[str, Future[None]] = {}

    def counts(
        self, client: redis.Redis, run: str, *, ended: bool, patience: float = 0.1
    ) -> dict[Outcome, int]:
        """Return the latest counts, at most some seconds old; empty while the first are counted."""
        with self._lock:
            at, outcomes, counts = self._known.get(run, (0.0, None, {}))
            fresh = time.monotonic() - at < _LOOK_SECONDS
            if not fresh and run not in self._looking:
                self._looking[run] = self._looks.submit(self._look, client, run, outcomes, ended)
            looking = self._looking.get(run)
        if fresh or looking is None:
            return counts
        try:
            looking.result(patience)
        except TimeoutError:
            return counts
        with self._lock:
            return self._known[run][2] if run in self._known else counts

    def stop(self) -> None:
        """End the thread."""
        self._looks.shutdown(cancel_futures=True)

    def _look(self, client: redis.Redis, run: str, kept: Outcomes | None, ended: bool) -> None:  # noqa: FBT001 - for the thread
        try:
            outcomes = kept or Outcomes(client, run)
            counts = dict(outcomes.look())
            with self._lock:
                # The set of a run that goes on still grows.
                self._known[run] = (time.monotonic(), outcomes if ended else None, counts)
                self._known.move_to_end(run)
                while len(self._known) > _WATCHED:
                    self._known.popitem(last=False)
        finally:
            with self._lock:
                self._looking.pop(run, None)
