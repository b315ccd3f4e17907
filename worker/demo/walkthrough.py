"""Walkthrough: an ordinary day, a frozen account and its repair, an empty account, an outage."""

import functools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from celery import Celery

from config import names
from config.names import Event
from worker.demo import web_app
from worker.demo.figures import Figures, count
from worker.demo.samples import ACCEPTED, DEAD, SAMPLES, Phase, Sample
from worker.demo.screen import Screen, codes_table, failures_table
from worker.demo.services import DemoError, DemoWorker
from worker.demo.status import describe
from worker.demo.tracker import TrackedCode, Tracker
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.ledger import Ledger
from worker.sending.account import Account
from worker.simulator.client import SimulatorClient

RUN_PREFIX: Final = "demo-"
CALLS_LEFT: Final = 9
"""With those of the replay enough to end the trial that began with it."""
TOP_UP_SECONDS: Final = 3.5
OUTAGE_SECONDS: Final = 3.0
_TRAFFIC_SECONDS: Final = 0.12
"""Between two codes of a web app's traffic."""
_DELAYED_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 40.0
_SHORT_LIFE_SECONDS: Final = 10.0
_SCAN: Final = 500

Timeline = Iterable[tuple[float, Callable[[], object]]]
"""(seconds from its start, what happens then), in order"""


def check_alone(ledger: Ledger) -> None:
    """Raise DemoError if the Redis serves somebody else.

    The demo's worker would take their codes, and call nobody.
    """
    client = ledger.client
    waiting = client.exists(names.QUEUE, names.DUE)
    ours = names.RECORD_PREFIX + RUN_PREFIX
    strangers = (
        key
        for key in client.scan_iter(f"{names.RECORD_PREFIX}*", count=_SCAN)
        if not str(key).startswith(ours)
    )
    if waiting or next(strangers, None) is not None:
        message = (
            "this Redis holds voice codes that are not the demo's: its worker would take them. "
            "Name an empty database, e.g. redis://HOST:6379/15"
        )
        raise DemoError(message)


class Walkthrough:
    """One run. `gateway`: the simulator's control; `worker`: its log tells of duplicates."""

    def __init__(  # noqa: PLR0913 - what a run consists of
        self,
        *,
        screen: Screen,
        ledger: Ledger,
        queue: FailureQueue,
        account: Account,
        app: Celery,
        gateway: SimulatorClient,
        worker: DemoWorker,
        started: float,
    ) -> None:
        self.prefix: Final = RUN_PREFIX + secrets.token_hex(2)
        self._screen = screen
        self._queue = queue
        self._account = account
        self._app = app
        self._gateway = gateway
        self._worker = worker
        self._started = started
        self._tracker = Tracker(ledger)
        self._duplicates: set[str] = set()
        self._ends: dict[str, str] = {}
        self._short_life_ends = 0.0

    def run(self) -> Figures:
        """Run it to its end. Raises DemoError if a code does not end."""
        screen, tracker = self._screen, self._tracker
        screen.say(
            f"{len(SAMPLES)} messages through Redis, a Celery worker and HTTP to the gateway's simulator "
            "(times are shortened)"
        )
        self._day()
        self._night()
        screen.table(lambda width: codes_table(tracker.codes, "What became of them", width))
        dead = [code for code in tracker.codes if code.state == DEAD]
        screen.table(lambda width: failures_table(dead, width))
        replayed, refused = self._repair(dead)
        self._until_over()
        again = [code for code in tracker.codes if code.replays]
        screen.table(lambda width: codes_table(again, "Replayed", width))
        self._empty_account()
        self._outage()
        figures = self._figures(len(dead), replayed, refused)
        screen.table(figures.table)
        return figures

    def _day(self) -> None:
        self._send_all(Phase.DAY)
        first = self._tracker.codes[0]
        self._screen.follow(self._tracker, lambda: first.over, _PATIENCE_SECONDS)
        self._send_all(Phase.DOUBLED)
        self._until_over()

    def _night(self) -> None:
        self._gateway.account("4050")
        self._send_all(Phase.FROZEN)
        self._until_over()

    def _repair(self, dead: Sequence[TrackedCode]) -> tuple[int, int]:
        """Mend the account as an operator does, resume sending, and replay what died of it.

        Returns how many were replayed, and how many were not.
        """
        died_of_account = [code for code in dead if code.reply.startswith("4050")]
        time.sleep(max(0.0, self._short_life_ends - time.time()) + 0.1)
        self._gateway.account(None)
        self._account.resume("the provider has unfrozen the account")
        self._screen.say(
            "The operator has the account unfrozen, resumes sending, "
            f"and replays the {len(died_of_account)} codes that died of it"
        )
        plan = self._queue.plan(Filter(keys=tuple(code.key for code in died_of_account)), Choice())
        for word, count_ in plan.counts.items():
            if word != "sendable":
                self._screen.say(f"Not replayed: {count_} {word}", style="yellow")
        run = self._queue.replay(plan.keys, Choice())
        for _ in run:
            pass
        self._tracker.wake(list(plan.keys))
        return run.progress.replayed, plan.total - run.progress.replayed

    def _empty_account(self) -> None:
        self._screen.say("In the middle of traffic the account runs empty: sending stops, codes are parked")
        self._tracker.turn_page()
        self._gateway.balance(CALLS_LEFT)
        traffic = self._traffic(Phase.EMPTY)
        top_up = (TOP_UP_SECONDS, self._top_up)
        self._play(sorted([*traffic, top_up], key=lambda event: event[0]))
        self._show_delayed(len(traffic), "Parked while the account was empty")

    def _top_up(self) -> None:
        self._gateway.top_up(1000)
        self._screen.say("The account is topped up: one code is tried, then ten, then all")

    def _outage(self) -> None:
        self._screen.say(
            f"In the middle of traffic nobody answers at the gateway's address for {OUTAGE_SECONDS:g} s: "
            "codes wait, none dies"
        )
        self._tracker.turn_page()
        first, *others = traffic = self._traffic(Phase.OUTAGE)
        self._play([first])
        # With no call in flight: a lost reply is another story, and "reset" tells it.
        self._gateway.refuse(OUTAGE_SECONDS)
        self._play(others)
        self._show_delayed(len(traffic), "Delayed by the outage")

    def _show_delayed(self, latest: int, title: str) -> None:
        codes = [code for code in self._tracker.codes[-latest:] if code.seconds > _DELAYED_SECONDS]
        self._screen.table(lambda width: codes_table(codes, title, width))

    def _traffic(self, phase: Phase) -> Sequence[tuple[float, Callable[[], None]]]:
        """Return the samples of a phase as a timeline."""
        samples = [sample for sample in SAMPLES if sample.phase is phase]
        return [(n * _TRAFFIC_SECONDS, functools.partial(self._send, s)) for n, s in enumerate(samples)]

    def _send_all(self, phase: Phase) -> None:
        for sample in SAMPLES:
            if sample.phase is phase:
                self._send(sample)

    def _send(self, sample: Sample) -> None:
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

    def _play(self, timeline: Timeline) -> None:
        """Carry out a timeline while the screen shows the codes, until all of them have ended."""
        pending, started = list(timeline), time.monotonic()

        def played() -> bool:
            while pending and time.monotonic() - started >= pending[0][0]:
                pending.pop(0)[1]()
            return not pending

        self._until_over(played)

    def _until_over(self, also: Callable[[], bool] = lambda: True) -> None:
        """Show the codes until `also` is true and all have ended; otherwise raise DemoError."""

        def over() -> bool:
            return also() and all(code.over for code in self._tracker.codes)

        status = functools.partial(describe, self._account, self._gateway)
        if not self._screen.follow(self._tracker, over, _PATIENCE_SECONDS, status):
            waiting = sum(not code.over for code in self._tracker.codes)
            message = f"{waiting} codes did not end within {_PATIENCE_SECONDS:g} s"
            raise self._worker.trouble(message)

    def _figures(self, died: int, replayed: int, refused: int) -> Figures:
        codes, suppressed = self._tracker.codes, self._suppressed()
        submissions = self._gateway.submissions()
        return Figures(
            enqueued=len(SAMPLES),
            duplicates_suppressed=suppressed,
            codes=len(codes),
            accepted=count(codes, ACCEPTED),
            dead=count(codes, DEAD),
            unfinished=sum(not code.over for code in codes),
            died_before_replay=died,
            replayed=replayed,
            replay_refused=refused,
            attempts=len(submissions),
            retried=sum(code.attempts > 1 for code in codes),
            ambiguous_attempts=sum(code.ambiguous for code in codes),
            calls=sum(submission.called for submission in submissions),
            unexpected=[code.key for code in codes if code.state != self._ends[code.key]],
            elapsed_seconds=round(time.monotonic() - self._started, 2),
        )

    def _suppressed(self) -> int:
        """Return how many duplicates the worker logged as skipped."""

        def skipped() -> set[str]:
            return {line["task_id"] for line in self._worker.lines(Event.ATTEMPT_SKIPPED)} & self._duplicates

        self._screen.follow(self._tracker, lambda: len(skipped()) == len(self._duplicates), _PATIENCE_SECONDS)
        return len(skipped())
