"""Measure the console's pages beside live codes.

`python -m benchmarks.console [--count 1000000] [--viewers 10] [--seconds 60] [--rate 50]` loads
dead letters into a server of its own, starts a worker, a stream of live codes and a console, and
lets viewers look at every page in turn, each a second after the page before.

It prints the table of `docs/console.md`: how long each page took, and how long live codes waited
meanwhile for their call to begin, beside the wait at rest.
"""

import argparse
import collections
import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import requests

from benchmarks import gateways
from benchmarks.failure_queue import settings_of, worker_of
from benchmarks.live_codes import live, quantiles
from benchmarks.processes import Tree
from tests.support.dead_letters import load_mixed
from worker.console.access.roles import Role
from worker.console.access.users import Users
from worker.embedded.server import start_server
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.store.client import connect

LATENCY_SECONDS: Final = 0.05
REST_SECONDS: Final = 30.0
THINK_SECONDS: Final = 1.0
PASSWORD: Final = "a-password-of-the-benchmark"  # noqa: S105 - of a server that lives for a minute
ENOUGH: Final = 20
"""Requests of a page below which no 95th percentile is told."""


class Viewers:
    """People who look at every page in turn."""

    def __init__(self, address: str, pages: dict[str, str]) -> None:
        self.took: dict[str, list[float]] = collections.defaultdict(list)
        self._address = address
        self._pages = pages
        self._stopped = threading.Event()

    def look(self, number: int) -> None:
        """Log in, and look until it is over."""
        with requests.Session() as session:
            session.trust_env = False
            origin = {"Origin": self._address}
            fields = {"name": "viewer", "password": PASSWORD}
            session.post(f"{self._address}/login", fields, headers=origin, timeout=30).raise_for_status()
            names = list(self._pages)
            turn = number
            while not self._stopped.wait(THINK_SECONDS):
                name = names[turn % len(names)]
                began = time.perf_counter()
                session.get(self._address + self._pages[name], timeout=30).raise_for_status()
                self.took[name].append(time.perf_counter() - began)
                turn += 1

    def watch(self, count: int, seconds: float) -> None:
        """Let so many look for so long."""
        threads = [threading.Thread(target=self.look, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stopped.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def console_of(url: str, folder: Path) -> Iterator[str]:
    """Run a console as its command does; return its address."""
    command = [sys.executable, "-m", "worker.cli", "console", "--port", "0"]
    env = {**os.environ, "VOICECODE_BROKER_URL": url}
    with Tree(command, log=folder / "console.log", env=env, cwd=gateways.ROOT) as tree:
        end = time.monotonic() + 60
        while "/enter?" not in (said := (folder / "console.log").read_text(errors="replace")):
            if not tree.running or time.monotonic() > end:
                raise RuntimeError(said)
            time.sleep(0.1)
        yield said.partition("The console: ")[2].partition("/enter?")[0]


def pages_of(queue: FailureQueue) -> dict[str, str]:
    """Return every page that has something to show."""
    [key] = [entry.record.key for entry in queue.page(Filter(), limit=1).entries]
    plan = queue.plan(Filter(codes=("4050",), sendable=True), Choice())
    run = queue.replay(plan.keys[:2_000], Choice())
    for _ in run:
        pass
    return {
        "now": "/",
        "figures": "/figures",
        "failure queue": "/dead",
        "by reply": "/dead?code=4030",
        "what can be called": "/dead?sendable=1",
        "by number": "/dead?ends=8000",
        "by text": "/dead?text=" + quote("冻结"),
        "nothing matches": "/dead?code=4051&rung=yes",
        "code": f"/code/{quote(key, safe='')}",
        "runs": "/runs",
        "a run": f"/runs/{run.progress.run}",
        "audit": "/audit",
        "audit of a key": f"/audit?key={quote(key, safe='')}",
    }


def main() -> None:
    """Load, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="voicecode-bench-") as name,
        start_server() as server,
        gateways.own(LATENCY_SECONDS) as gateway,
    ):
        settings = settings_of(server)
        queue = FailureQueue(connect(settings), settings, operator="bench")
        sendable = asked.count * 15 // 100
        load_mixed(queue.client, asked.count, now=time.time(), span_seconds=100_000, sendable=sendable)
        Users(queue.client).put("viewer", PASSWORD, Role.VIEWER)
        print(f"{asked.count:,} dead letters, {asked.viewers} viewers")
        with (
            worker_of(server, gateway.url, Path(name)),
            live(server.url, gateway, LATENCY_SECONDS, rate=asked.rate) as stream,
            console_of(server.url, Path(name)) as address,
        ):
            viewers = Viewers(address, pages_of(queue))
            with stream.phase("at rest"):
                time.sleep(REST_SECONDS)
            with stream.phase("while they look"):
                viewers.watch(asked.viewers, asked.seconds)
            waits = stream.waits()
    print("\n".join(table(viewers.took)))
    for phase, found in waits.items():
        median, p99 = quantiles(found)
        print(f"live codes {phase}: {len(found):,}, wait {median:.0f} ms, p99 {p99:.0f} ms")


def table(took: dict[str, list[float]]) -> Iterator[str]:
    """Return the table's lines."""
    yield "| page | requests | median | p95 |"
    yield "| --- | --- | --- | --- |"
    for name, seconds in took.items():
        p95 = f"{1000 * statistics.quantiles(seconds, n=20)[-1]:.0f} ms" if len(seconds) >= ENOUGH else ""
        yield f"| {name} | {len(seconds):,} | {1000 * statistics.median(seconds):.0f} ms | {p95} |"


if __name__ == "__main__":
    main()
