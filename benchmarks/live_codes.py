"""Live codes beside a measurement: a stream by chance, and how long each took to its call.

`python -m benchmarks.live_codes URL RATE FIRST` sends codes until it is ended, and prints number
and epoch seconds of each. People do not come evenly: the gaps are exponential, from a fixed seed.
"""

import contextlib
import dataclasses
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.field import BY_NAME, OURS
from benchmarks.gateways import ROOT, Gateway
from benchmarks.kombu_message import kombu_message

_SETTLE_SECONDS: Final = 1.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What was done, from when to when (epoch seconds)."""

    name: str
    began_at: float
    ended_at: float
    facts: dict[str, Any]


class Live:
    """Codes on their way, and the phases of a measurement beside them."""

    def __init__(self, log: Path, gateway: Gateway, latency: float) -> None:
        self._log = log
        self._gateway = gateway
        self._latency = latency
        self.phases: list[Phase] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[dict[str, Any]]:
        """Note a phase. The caller puts facts about it into what it gets."""
        facts: dict[str, Any] = {}
        time.sleep(_SETTLE_SECONDS)
        began = time.time()
        yield facts
        self.phases.append(Phase(name=name, began_at=began, ended_at=time.time(), facts=facts))

    def waits(self) -> dict[str, list[float]]:
        """Return for each phase how many seconds its codes waited for their call to begin."""
        sent = [line.split() for line in self._log.read_text().splitlines()]
        called: dict[str, float] = {}
        for mobile, answered_at in self._gateway.arrivals():
            called.setdefault(mobile, answered_at - self._latency)
        found: dict[str, list[float]] = {}
        for phase in self.phases:
            found[phase.name] = [
                called[mobile] - float(at)
                for mobile, at in sent
                if phase.began_at <= float(at) <= phase.ended_at and mobile in called
            ]
        return found


@contextlib.contextmanager
def live(url: str, gateway: Gateway, latency: float, *, rate: float) -> Iterator[Live]:
    """Send codes while the block runs."""
    with tempfile.TemporaryDirectory(prefix="voicecode-live-") as folder:
        log = Path(folder) / "sent"
        with log.open("w") as file:
            command = [sys.executable, "-m", "benchmarks.live_codes", url, str(rate), "0"]
            with subprocess.Popen(command, stdout=file, cwd=ROOT) as process:
                try:
                    yield Live(log, gateway, latency)
                finally:
                    process.terminate()


def quantiles(waits: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile in milliseconds; NaN of too few."""
    if len(waits) < 2:  # noqa: PLR2004 - what quantiles need
        return float("nan"), float("nan")
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return 1000 * cuts[49], 1000 * cuts[98]


def send(url: str, rate: float, first: int) -> None:
    """Send `rate` codes a second, on average, until somebody ends this process."""
    contestant, chance = BY_NAME[OURS], random.Random(first)
    with redis.Redis.from_url(url) as client:
        due = time.monotonic()
        for sent in range(sys.maxsize):
            time.sleep(max(0.0, due - time.monotonic()))
            due += chance.expovariate(rate)
            message = kombu_message(contestant, first + sent)
            at = time.time()
            client.lpush(contestant.queue, message)
            print(f"138{first + sent:08d} {at:.6f}", flush=True)


if __name__ == "__main__":
    send(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
