"""The measures: each runs its trials and notes what they took.

A repetition runs every contestant once, so that a noisy minute hits all.
"""

import contextlib
import dataclasses
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import gateways
from benchmarks.field import BY_NAME, OURS, Contestant
from benchmarks.gateways import Gateway
from benchmarks.goals import BARE
from benchmarks.results import Results
from benchmarks.trial import Drained, Setup, TrialError, drain, first_arrivals, ready, wait
from benchmarks.venvs import PEERS, bin_of
from worker.embedded.server import Server, start_server

LATENCIES: Final = (("0ms", 0.0), ("100ms", 0.1))
STEADY_RATE: Final = 50.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it. `scale` multiplies the numbers of codes."""

    repetitions: int = 3
    scale: float = 1.0
    latency_seconds: float = 6.0
    crowd: int = 1_000_000
    contestants: tuple[Contestant, ...] = ()

    def codes(self, count: float) -> int:
        """Return how many codes a trial takes."""
        return max(40, int(count * self.scale))


@contextlib.contextmanager
def setup_of(
    contestant: Contestant, gateway: Gateway, at: int, server: Server | None = None, **changes: Any
) -> Iterator[Setup]:
    """Set up a trial in a Redis of its own. `at`: 0 for the fast gateway, 1 for the slow one."""
    with contextlib.ExitStack() as stack:
        server = server or stack.enter_context(start_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voicecode-bench-")))
        setup = Setup(
            contestant=contestant,
            server=server,
            gateway=gateway,
            folder=folder,
            processes=contestant.processes[at],
            slots=contestant.slots[at],
        )
        yield dataclasses.replace(setup, **changes)


def tried(results: Results, who: str, what: str, action: Callable[[], None]) -> None:
    """Run a trial; one that comes to nothing is told, and does not end the run."""
    announce(f"{what}: {who}")
    try:
        action()
    except (TrialError, subprocess.SubprocessError, OSError) as error:
        results.problems.append(f"{what}: {who}: {error}")
        announce(f"  failed: {str(error)[-300:]}")


def announce(text: str) -> None:
    """Say what is going on, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def note_drain(results: Results, who: str, suffix: str, drained: Drained) -> None:
    """Note what a drain took; its losses count against whoever has them."""
    results.note(f"throughput_{suffix}", who, drained.codes_a_second)
    results.note(f"cpu_{suffix}", who, drained.cpu_seconds_a_code)
    results.note(f"redis_cpu_{suffix}", who, drained.redis_cpu_seconds_a_code)
    results.note(f"memory_{suffix}", who, drained.peak_megabytes)
    results.lost[who] += drained.lost
    results.doubled[who] += drained.doubled
    if who == OURS:
        results.note("lost_or_doubled", who, results.lost[who] + results.doubled[who])


def drains(results: Results, plan: Plan) -> None:
    """Empty queues: how fast, and with how much CPU and memory; and a bare loop beside them."""
    for _ in range(plan.repetitions):
        for at, (name, latency) in enumerate(LATENCIES):
            for contestant in plan.contestants:

                def trial(
                    contestant: Contestant = contestant,
                    at: int = at,
                    name: str = name,
                    latency: float = latency,
                ) -> None:
                    with gateways.fast(latency) as gateway, setup_of(contestant, gateway, at) as setup:
                        note_drain(
                            results, contestant.name, name, drain(setup, plan.codes(contestant.codes[at]))
                        )

                tried(results, contestant.name, f"drain at {name}", trial)
        tried(results, BARE, "bare loop", lambda: bare(results, plan))


def bare(results: Results, plan: Plan) -> None:
    """Measure `Session.post` in a loop, without a queue."""
    with gateways.fast(0) as gateway:
        python = bin_of("celery") / "python"
        environment = BY_NAME["celery"].environment(redis_port=0, gateway=gateway.url)
        command = [str(python), "bare.py", str(plan.codes(4000))]
        said = json.loads(
            subprocess.run(command, cwd=PEERS, env=environment, capture_output=True, check=True).stdout
        )
    results.note("throughput_0ms", BARE, said["codes_a_second"])
    results.note("cpu_0ms", BARE, said["cpu_seconds_a_code"])


def latencies(results: Results, plan: Plan) -> None:
    """Time each code to the gateway, from just before the producer's call and from its end.

    Once at a steady rate, once at half of the capacity.
    """
    for _ in range(plan.repetitions):
        for contestant in plan.contestants:
            tried(
                results, contestant.name, "latency", functools.partial(_latencies, results, plan, contestant)
            )


def _latencies(results: Results, plan: Plan, contestant: Contestant) -> None:
    capacity = results.median("throughput_0ms", contestant.name)
    rates = [
        ("50", STEADY_RATE, plan.latency_seconds),
        *([("half", capacity / 2, plan.latency_seconds / 2)] if capacity else []),
    ]
    with gateways.own(0) as gateway, setup_of(contestant, gateway, 0) as setup, ready(setup):
        for number, (name, rate, seconds) in enumerate(rates):
            _latency(results, setup, name, rate, int(rate * seconds), first=number * 1_000_000)


def _latency(results: Results, setup: Setup, name: str, rate: float, count: int, *, first: int) -> None:  # noqa: PLR0913 - the trial
    who, gateway = setup.contestant.name, setup.gateway
    begun, file = gateway.count(), setup.folder / "moments"
    said = setup.produce(count, "--first", str(first), "--rate", str(rate), "--moments", str(file))
    wait(lambda: gateway.count() - begun, count, lambda: 0.0)
    arrived = first_arrivals(gateway.arrivals())
    sent = [line.split() for line in file.read_text().splitlines()]
    served = [
        (arrived[mobile] - float(begun), arrived[mobile] - float(done))
        for mobile, begun, done in sent
        if mobile in arrived
    ]
    results.lost[who] += count - len(served)
    for suffix, waits in zip(("", "_after"), zip(*served, strict=True), strict=True):
        cuts = statistics.quantiles(waits, n=100, method="inclusive")
        for share in (50, 95, 99):
            results.note(f"latency_{name}{suffix}_p{share}", who, cuts[share - 1])
    results.note(f"latency_{name}_rate", who, said["codes_a_second"])


def startups(results: Results, plan: Plan) -> None:
    """Time from the start of one worker process to the first call, with a code waiting."""
    for _ in range(plan.repetitions):
        for contestant in plan.contestants:
            tried(results, contestant.name, "start-up", functools.partial(_startup, results, contestant))


def _startup(results: Results, contestant: Contestant) -> None:
    with gateways.own(0) as gateway, setup_of(contestant, gateway, 0, processes=1) as setup:
        setup.fill(1)
        with setup.workers() as trees:
            wait(gateway.count, 1, lambda: 0.0)
            arrivals = gateway.arrivals()
            if not arrivals:
                raise TrialError(setup.log_tail())
            results.note("startup_seconds", contestant.name, arrivals[0][1] - trees[0].started_at)


def enqueues(results: Results, plan: Plan) -> None:
    """Measure what one code costs the web app, by the contestant's own client."""
    for _ in range(plan.repetitions):
        for contestant in plan.contestants:

            def trial(contestant: Contestant = contestant) -> None:
                with gateways.own(0) as gateway, setup_of(contestant, gateway, 0) as setup:
                    said = setup.produce(plan.codes(1000))
                results.note("enqueue_seconds", contestant.name, said["seconds_a_code"])
                results.note("enqueue_cpu", contestant.name, said["cpu_seconds_a_code"])

            tried(results, contestant.name, "enqueue", trial)
