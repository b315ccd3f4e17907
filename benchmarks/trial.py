"""One trial: a contestant's workers, ready and warm, let loose on a queue that was filled before.

1. the queue is filled, and renamed so that nobody finds it
2. workers start, serve a few codes, and come to rest
3. the queue gets its name back: the clock runs until the gateway has seen the last code
"""

import contextlib
import dataclasses
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.field import OURS, Contestant
from benchmarks.gateways import Arrival, Gateway
from benchmarks.kombu_message import Seal, kombu_message
from benchmarks.processes import Tree, cpu_seconds
from benchmarks.venvs import PEERS, bin_of
from config import names
from config.names import Event
from worker.embedded.server import Server

WARM_CODES: Final = 40
"""At least; one for each slot if there are more. No connection is opened on the clock."""
WARM_FIRST: Final = 90_000_000
_HELD: Final = "bench:held"
_STALLED_SECONDS: Final = 6.0
_READY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_BUSY_SHARE: Final = 0.15
"""Of one core, in the whole tree: some peers poll while they wait."""


class TrialError(Exception):
    """A contestant did not get ready, or called nobody; the text holds the end of its log."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What one drain took.

    A code is lost where the gateway never saw it within six seconds after the last one.
    """

    codes_a_second: float
    cpu_seconds_a_code: float
    redis_cpu_seconds_a_code: float
    peak_megabytes: float
    lost: int
    doubled: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Where a trial takes place."""

    contestant: Contestant
    server: Server
    gateway: Gateway
    folder: Path
    processes: int
    slots: int
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    seal: Seal | None = None
    """What the producer does with number and code."""

    @property
    def environment(self) -> dict[str, str]:
        """Return what its processes are given."""
        where: dict[str, Any] = {
            "redis_port": self.server.port,
            "gateway": self.gateway.url,
            "slots": self.slots,
        }
        return self.contestant.environment(**where, **self.settings)

    @property
    def warm_codes(self) -> int:
        """Return how many codes are served before the clock runs."""
        return max(WARM_CODES, self.processes * self.slots)

    def produce(self, count: int, *options: str) -> dict[str, float]:
        """Enqueue with the contestant's own client; return what `peers/produce.py` says of it."""
        python = bin_of(self.contestant.venv) / "python"
        command = [str(python), "produce.py", self.contestant.enqueue, str(count), *options]
        environment = {**self.environment, "PYTHONPATH": str(PEERS)}
        done = subprocess.run(
            command, cwd=PEERS, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TrialError(done.stderr)
        said: dict[str, float] = json.loads(done.stdout)
        return said

    def fill(self, count: int, first: int = 0) -> None:
        """Fill the queue: with kombu messages if the contestant takes them, else by its client."""
        if not self.contestant.kombu_task:
            self.produce(count, "--first", str(first))
            return
        with self.server.client() as client:
            for start in range(first, first + count, 1000):
                numbers = range(start, min(start + 1000, first + count))
                messages = (kombu_message(self.contestant, number, self.seal) for number in numbers)
                client.lpush(self.contestant.queue, *messages)

    @contextlib.contextmanager
    def workers(self) -> Iterator[list[Tree]]:
        """Start the workers. Their output goes to a file, as everybody's does."""
        contestant = self.contestant
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(
                    Tree(
                        command, log=self.folder / "workers.log", env=self._own(number), cwd=contestant.folder
                    )
                )
                for number, command in enumerate(contestant.commands(self.processes, self.slots))
            ]

    def _own(self, number: int) -> dict[str, str]:
        heartbeat = (
            {"VOICECODE_HEARTBEAT_FILE": str(self.folder / f"heartbeat-{number}")}
            if self.contestant.name == OURS
            else {}
        )
        return {**self.environment, **heartbeat}

    def log_tail(self) -> str:
        """Return the end of what the workers said."""
        return (self.folder / "workers.log").read_text(errors="replace")[-3000:]


def drain(setup: Setup, count: int, *, first: int = 0) -> Drained:
    """Run one trial. Raises TrialError."""
    contestant, gateway = setup.contestant, setup.gateway
    with setup.server.client() as client:
        setup.fill(count, first)
        client.rename(contestant.queue, _HELD)
        with ready(setup, first) as trees:
            begun, before = gateway.count(), sum(tree.cpu_seconds() for tree in trees)
            redis_before, peak = cpu_seconds(setup.server.pid), sum(tree.megabytes() for tree in trees)
            released_at = time.time()
            client.rename(_HELD, contestant.queue)
            peak = max(
                peak,
                *wait(
                    lambda: gateway.count() - begun, count, lambda: sum(tree.megabytes() for tree in trees)
                ),
            )
            _rest(trees, setup.contestant.quiet_seconds)
            arrivals = [arrival for arrival in gateway.arrivals() if arrival[1] >= released_at]
            cpu = sum(tree.cpu_seconds() for tree in trees) - before
            redis_cpu = cpu_seconds(setup.server.pid) - redis_before
            if contestant.name == OURS:
                check_books(setup, gateway.count() - begun + setup.warm_codes)
    calls = Counter(mobile for mobile, _ in arrivals)
    if not calls:
        raise TrialError(setup.log_tail())
    return Drained(
        codes_a_second=len(calls) / (max(moment for _, moment in arrivals) - released_at),
        cpu_seconds_a_code=cpu / len(calls),
        redis_cpu_seconds_a_code=redis_cpu / len(calls),
        peak_megabytes=peak,
        lost=count - len(calls),
        doubled=calls.total() - len(calls),
    )


def check_books(setup: Setup, calls: int) -> None:
    """Hold ours to what it does beside the call: a log line for each, nothing left behind.

    Raises TrialError.
    """
    lines = (setup.folder / "workers.log").read_bytes().count(Event.ATTEMPT_FINISHED.encode())
    with setup.server.client() as client:
        left = [client.llen(names.QUEUE), client.hlen(names.UNACKED)]
    if lines != calls or any(left):
        what = f"ours: {lines} log lines for {calls} calls"
        message = f"{what}; {left[0]} left on the queue, {left[1]} unacked\n{setup.log_tail()}"
        raise TrialError(message)


@contextlib.contextmanager
def ready(setup: Setup, first: int = 0) -> Iterator[list[Tree]]:
    """Start the workers, have them serve a few codes, and wait until they rest.

    Raises TrialError.
    """
    begun = setup.gateway.count()
    setup.fill(setup.warm_codes, WARM_FIRST + first % 1_000_000)
    with setup.workers() as trees:
        end = time.monotonic() + _READY_SECONDS
        while setup.gateway.count() - begun < setup.warm_codes:
            if time.monotonic() > end or not all(tree.running for tree in trees):
                raise TrialError(setup.log_tail())
            time.sleep(_POLL_SECONDS)
        _rest(trees, setup.contestant.quiet_seconds)
        yield trees


def _rest(trees: list[Tree], quiet_seconds: float) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        before = sum(tree.cpu_seconds() for tree in trees)
        time.sleep(quiet_seconds)
        if sum(tree.cpu_seconds() for tree in trees) - before < _BUSY_SHARE * quiet_seconds:
            return


def wait(count: Callable[[], int], wanted: int, look: Callable[[], float]) -> list[float]:
    """Wait until the gateway has seen so many, or no more for a while.

    Returns what `look` returned every half second.
    """
    seen, moved_at, looked_at, looks = 0, time.monotonic(), 0.0, [0.0]
    while (now := count()) < wanted and time.monotonic() - moved_at < _STALLED_SECONDS:
        if now > seen:
            seen, moved_at = now, time.monotonic()
        if time.monotonic() - looked_at > 0.5:  # noqa: PLR2004 - reading it costs the kernel milliseconds
            looked_at = time.monotonic()
            looks.append(look())
        time.sleep(_POLL_SECONDS)
    return looks


def first_arrivals(arrivals: list[Arrival]) -> dict[str, float]:
    """Return when each number was called first."""
    found: dict[str, float] = {}
    for mobile, moment in sorted(arrivals, key=lambda arrival: arrival[1]):
        found.setdefault(mobile, moment)
    return found
