"""The fleet of a night.

Redis, the gateway, real workers, and a producer that logs each code it enqueues.
"""

import contextlib
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

from config import names
from tests.nights.night import FULL, Pace
from tests.support.simulator import start_simulator
from tests.support.workers import (
    LIMIT_SECONDS,
    ROOT,
    SHORT_TIMES,
    RunningWorker,
    enqueue,
    environment,
    stock_producer,
    wait_for,
)
from worker.embedded.server import start_server
from worker.ledger.record import Record
from worker.simulator.journal import Submission

LIFE_SECONDS: Final = 280.0
SLOTS: Final = 10
_BATCH: Final = 500
_ENDS: Final = ("accepted", "dead")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """One code, as the producer's log has it. Times are epoch seconds."""

    key: str
    mobile: str
    at: float
    expires_at: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a code: by the producer's log, the ledger, and the gateway's journal."""

    code: Enqueued
    record: Record | None
    submissions: tuple[Submission, ...]

    @property
    def accepted(self) -> bool:
        """Whether the ledger says so."""
        return self.record is not None and self.record.state == "accepted"

    @property
    def dead(self) -> bool:
        """Whether it is a dead letter."""
        return self.record is not None and self.record.state == "dead"

    @property
    def lost(self) -> bool:
        """Whether there is no record of it, or it never ended."""
        return not (self.accepted or self.dead)

    @property
    def calls(self) -> int:
        """Calls that the gateway placed."""
        return sum(submission.called for submission in self.submissions)

    @property
    def ambiguous(self) -> int:
        """Attempts after which nobody knows whether the phone rang."""
        return self.record.ambiguous if self.record else 0


class Fleet:
    """Everything that runs in one night. A context manager; `folder` keeps logs and the journal."""

    def __init__(
        self,
        folder: Path,
        pace: Pace = FULL,
        *,
        gateway: Sequence[str] = (),
        strict: bool = False,
        **settings: Any,
    ) -> None:
        self.pace = pace
        self.folder = folder
        self.codes: list[Enqueued] = []
        self.workers: list[RunningWorker] = []
        self._settings = settings
        self._numbers = itertools.count(1)
        self._exits = contextlib.ExitStack()
        self.redis = self._exits.enter_context(start_server())
        self.simulator = self._exits.enter_context(
            start_simulator(journal=folder / "journal", strict=strict, extra=gateway)
        )
        self.gateway = self.simulator.client
        self.client: Any = self._exits.enter_context(self.redis.client(decode_responses=True))
        self._web_app = stock_producer(self.redis.url)
        self._exits.callback(self._web_app.close)

    def environment(self, name: str = "operator", **settings: Any) -> dict[str, str]:
        """Return a worker's environment: defaults, except for the pace's and night's settings."""
        given = {**dict.fromkeys(SHORT_TIMES), "dynamic_password": True, "log_format": "json"}
        given |= {**self.pace.settings, "concurrency": SLOTS, **self._settings, **settings}
        given["heartbeat_file"] = str(self.folder / f"{name}.heartbeat")
        return environment(broker_url=self.redis.url, gateway_url=self.simulator.url, **given)

    def start(self, *, address: str | None = None, **settings: Any) -> RunningWorker:
        """Start one more worker. `address`: where the gateway sees it come from."""
        name = f"worker{len(self.workers) + 1}"
        if address:
            settings = {**settings, "host_name": address}
        env = self.environment(name, **settings)
        env |= dict(self.simulator.environment_at(address)) if address else {}
        worker = RunningWorker(
            self.folder / f"{name}.log", env, options=("-n", f"{name}@night"), fresh=self.pace is FULL
        )
        self.workers.append(self._exits.enter_context(worker))
        return worker

    def start_three(self) -> None:
        """Start three equal workers, and wait until they consume."""
        for _ in range(3):
            self.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every worker consumes."""
        for worker in self.workers:
            worker.wait_ready()

    def send(self, *, mobile: str | None = None, life: float = LIFE_SECONDS, **more: Any) -> Enqueued:
        """Enqueue one code as a web app does, for a number of its own unless one is given."""
        number = next(self._numbers)
        now = time.time()
        code = Enqueued(
            key=f"night:{number}",
            mobile=mobile or f"13{number:09d}",
            at=now,
            expires_at=round(now + self.pace.life(life), 3),
        )
        enqueue(self._web_app, code.mobile, "0042", key=code.key, expires_at=code.expires_at, **more)
        self.codes.append(code)
        return code

    @contextlib.contextmanager
    def producing(self, rate: float, seconds: float | None = None) -> Iterator[threading.Thread]:
        """Enqueue `rate` codes a second for `seconds`, or until the block ends."""
        over = threading.Event()

        def produce() -> None:
            start = time.monotonic()
            for made in itertools.count():
                due = start + made / rate
                if (seconds is not None and made >= seconds * rate) or over.wait(
                    max(0.0, due - time.monotonic())
                ):
                    return
                self.send()

        thread = threading.Thread(target=produce, name="producer", daemon=True)
        thread.start()
        try:
            yield thread
            if seconds is not None:
                thread.join()
        finally:
            over.set()
            thread.join()

    def wait_ended(self, seconds: float) -> None:
        """Wait until every code has ended, but not for ever: the judge says which have not."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.open(), seconds, "the end of every code")

    def open(self) -> list[str]:
        """Return the keys of codes that have not ended."""
        keys = [code.key for code in self.codes]
        return [key for key, state in zip(keys, self._states(keys), strict=True) if state not in _ENDS]

    def _states(self, keys: Sequence[str]) -> list[str | None]:
        found: list[str | None] = []
        for start in range(0, len(keys), _BATCH):
            with self.client.pipeline(transaction=False) as pipe:
                for key in keys[start : start + _BATCH]:
                    pipe.hget(names.RECORD_PREFIX + key, "state")
                found += pipe.execute()
        return found

    def submissions(self) -> list[Submission]:
        """Return the gateway's journal, from its file."""
        lines = (json.loads(line) for line in (self.folder / "journal").read_text().splitlines())
        return [Submission(**line) for line in lines if "change" not in line]

    def fates(self) -> list[Fate]:
        """Return what became of every code."""
        by_number: dict[str, list[Submission]] = {}
        for submission in self.submissions():
            by_number.setdefault(submission.mobile, []).append(submission)
        return [
            Fate(
                code=code,
                record=Record.from_hash(code.key, self.client.hgetall(names.RECORD_PREFIX + code.key)),
                submissions=tuple(by_number.get(code.mobile, ())),
            )
            for code in list(self.codes)
        ]

    def pages(self) -> list[dict[str, Any]]:
        """Return the log lines of all workers that page."""
        return [line for worker in self.workers for line in worker.lines() if line.get("alert") == "page"]

    def voicecode(self, *words: str) -> str:
        """Run the command line as an operator does, and return what it printed."""
        command = [sys.executable, "-m", "worker.cli", *words]
        done = subprocess.run(
            command,
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"voicecode {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            if worker.running:
                worker.kill()
        self._exits.close()


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile, 0 of nothing."""
    return (
        statistics.quantiles(values, n=20, method="inclusive")[-1]
        if len(values) > 1
        else max(values, default=0.0)
    )
