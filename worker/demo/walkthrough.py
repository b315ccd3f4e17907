"""Walkthrough: an ordinary day, a night in which the account runs dry, and the operator's morning."""

import secrets
import time
from collections.abc import Sequence
from typing import Final

from celery import Celery

from config import names
from config.names import Event
from worker.demo import web_app
from worker.demo.figures import Figures, count
from worker.demo.samples import ACCEPTED, DEAD, SAMPLES, Phase
from worker.demo.screen import Screen, codes_table, failures_table
from worker.demo.services import DemoError, DemoWorker
from worker.demo.tracker import TrackedCode, Tracker
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.ledger import Ledger
from worker.simulator.client import SimulatorClient

RUN_PREFIX: Final = "demo-"
_PATIENCE_SECONDS: Final = 40.0
_SHORT_LIFE_SECONDS: Final = 10.0
_SCAN: Final = 500


def check_alone(ledger: Ledger) -> None:
    """Refuse a Redis that serves somebody else: this worker would take his codes, and call nobody. Raises DemoError."""
    client = ledger.client
    waiting = client.exists(names.QUEUE, names.DUE)
    ours = names.RECORD_PREFIX + RUN_PREFIX
    strangers = (
        key
        for key in client.scan_iter(f"{names.RECORD_PREFIX}*", count=_SCAN)
        if not str(key).startswith(ours)
    )
    if waiting or next(strangers, None) is not None:
        message = "this Redis holds voice codes that are not the demo's: its worker would take them. Name an empty database, e.g. redis://HOST:6379/15"
        raise DemoError(message)


class Walkthrough:
    """One run. `gateway`: the simulator's control; `worker`: for what it says of duplicates."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        *,
        screen: Screen,
        ledger: Ledger,
        queue: FailureQueue,
        app: Celery,
        gateway: SimulatorClient,
        worker: DemoWorker,
        started: float,
    ) -> None:
        self.prefix: Final = RUN_PREFIX + secrets.token_hex(2)
        self._screen = screen
        self._queue = queue
        self._app = app
        self._gateway = gateway
        self._worker = worker
        self._started = started
        self._tracker = Tracker(ledger)
        self._duplicates: set[str] = set()
        self._ends: dict[str, str] = {}
        self._short_life_ends = 0.0

    def run(self) -> Figures:
        """Tell it to its end. Raises DemoError where the codes come to no end."""
        screen, tracker = self._screen, self._tracker
        screen.say(
            f"{len(SAMPLES)} messages through Redis, a Celery worker and HTTP to the gateway's simulator (times are shortened)"
        )
        self._enqueue(Phase.DAY)
        first = tracker.rows[0]
        screen.follow(tracker, lambda: first.over, _PATIENCE_SECONDS)
        self._enqueue(Phase.DOUBLED)
        self._until_over()
        self._gateway.balance(0)
        self._enqueue(Phase.EMPTY)
        self._until_over()
        self._gateway.account("4050")
        self._enqueue(Phase.FROZEN)
        self._until_over()
        screen.table(lambda width: codes_table(tracker.rows, "What became of them", width))
        dead = [row for row in tracker.rows if row.state == DEAD]
        screen.table(lambda width: failures_table(dead, width))
        replayed, refused = self._mend(dead)
        self._until_over()
        screen.table(
            lambda width: codes_table([row for row in tracker.rows if row.replays], "Replayed", width)
        )
        figures = self._figures(len(dead), replayed, refused)
        screen.table(figures.table)
        return figures

    def _enqueue(self, phase: Phase) -> None:
        for sample in (sample for sample in SAMPLES if sample.phase is phase):
            kwargs = sample.kwargs(self.prefix, time.time())
            own = f"{self.prefix}:{sample.name}"
            if sample.duplicate:
                self._duplicates.add(own)
            else:
                self._ends[own] = sample.ends
                self._tracker.add(own, sample.description, str(sample.mobile))
            if 0 < (sample.expires_in_seconds or 0) <= _SHORT_LIFE_SECONDS:
                self._short_life_ends = time.time() + (sample.expires_in_seconds or 0)
            web_app.enqueue(self._app, [sample.mobile, sample.code], kwargs, task_id=own)

    def _until_over(self) -> None:
        if not self._screen.follow(
            self._tracker, lambda: all(row.over for row in self._tracker.rows), _PATIENCE_SECONDS
        ):
            waiting = sum(not row.over for row in self._tracker.rows)
            message = f"{waiting} codes did not end within {_PATIENCE_SECONDS:g} s"
            raise self._worker.trouble(message)

    def _mend(self, dead: Sequence[TrackedCode]) -> tuple[int, int]:
        """Be the operator: mend the account, and put back what died of it. Return how many went back and how many were refused."""
        died_of_account = [row for row in dead if row.reply.startswith(("4050", "4051"))]
        time.sleep(max(0.0, self._short_life_ends - time.time()) + 0.1)
        self._gateway.account(None)
        self._gateway.balance(1000)
        self._screen.say(
            f"The operator tops the account up, has it unfrozen, and replays the {len(died_of_account)} codes that died of it"
        )
        plan = self._queue.plan(Filter(keys=tuple(row.key for row in died_of_account)), Choice())
        for word, count_ in plan.counts.items():
            if word != "sendable":
                self._screen.say(f"Not replayed: {count_} {word}", style="yellow")
        run = self._queue.replay(plan.keys, Choice())
        for _ in run:
            pass
        self._tracker.wake(list(plan.keys))
        return run.progress.replayed, plan.total - run.progress.replayed

    def _figures(self, died: int, replayed: int, refused: int) -> Figures:
        rows = self._tracker.rows
        suppressed = self._suppressed()
        submissions = self._gateway.submissions()
        return Figures(
            enqueued=len(SAMPLES),
            duplicates_suppressed=suppressed,
            codes=len(rows),
            accepted=count(rows, ACCEPTED),
            dead=count(rows, DEAD),
            unfinished=sum(not row.over for row in rows),
            died_before_replay=died,
            replayed=replayed,
            replay_refused=refused,
            attempts=len(submissions),
            retried=sum(row.attempts > 1 for row in rows),
            ambiguous_attempts=sum(row.ambiguous for row in rows),
            calls=sum(submission.called for submission in submissions),
            unexpected=[row.key for row in rows if row.state != self._ends[row.key]],
            elapsed_seconds=round(time.monotonic() - self._started, 2),
        )

    def _suppressed(self) -> int:
        """Return how many of our duplicates the worker says it passed over."""

        def passed_over() -> set[str]:
            return {line["task_id"] for line in self._worker.lines(Event.ATTEMPT_SKIPPED)} & self._duplicates

        self._screen.follow(
            self._tracker, lambda: len(passed_over()) == len(self._duplicates), _PATIENCE_SECONDS
        )
        return len(passed_over())
