"""Measure the failure queue beside live codes.

`python -m benchmarks.failure_queue [--count 1000000] [--replay 100000] [--rate 50]` loads dead
letters into a server of its own, starts a worker and a stream of live codes, and gives each command
of an operator in turn.

It prints the table of `docs/failure-queue.md`: how long each command took, and how long live codes
waited meanwhile for their call to begin, beside the wait at rest.
"""

import argparse
import contextlib
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import gateways
from benchmarks.live_codes import Live, live, quantiles
from benchmarks.processes import Tree
from config import names
from config.settings import Settings
from config.settings import load as load_settings
from tests.support.dead_letters import load_mixed
from tests.support.workers import SHORT_TIMES, environment
from worker.embedded.server import Server, start_server
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.failure_queue.outcomes import Outcomes
from worker.store.client import connect

LATENCY_SECONDS: Final = 0.05
REST_SECONDS: Final = 30.0
REPEAT_SECONDS: Final = 4.0
PAGES: Final = {
    "`list`, no filter": Filter(),
    "`list --code`": Filter(codes=("4030",)),
    "`list --mobile-ends`": Filter(mobile_ends="8000"),
    "`list --sendable`": Filter(sendable=True),
    "`list --code 405 --ambiguous`, nothing matches": Filter(codes=("405",), ambiguous=True),
}


def repeat(stream: Live, name: str, step: Callable[[], int]) -> None:
    """Give a short command again and again, until a hundred live codes have met it."""
    with stream.phase(name) as facts:
        times, end = 0, time.monotonic() + REPEAT_SECONDS
        while time.monotonic() < end:
            facts["found"] = step()
            times += 1
        facts["times"] = times


def measure(queue: FailureQueue, stream: Live, replayed: int) -> None:
    """Give the commands, one after the other."""
    with stream.phase("at rest"):
        time.sleep(REST_SECONDS)
    repeat(stream, "`stats`", lambda: queue.stats().total)
    for name, wanted in PAGES.items():
        repeat(stream, name, functools.partial(_found, queue, wanted))
    with stream.phase("`replay --dry-run --all`") as facts:
        facts["found"] = queue.plan(Filter(), Choice()).total
    with stream.phase("`replay --dry-run --sendable`") as facts:
        plan = queue.plan(Filter(sendable=True), Choice())
        facts["found"] = plan.total
    run = queue.replay(plan.keys[:replayed], Choice())
    with stream.phase("`replay`") as facts:
        for _ in run:
            pass
        facts["found"] = run.progress.replayed
    with stream.phase("the drain after it") as facts:
        facts["found"] = _drained(queue)
    repeat(stream, "`run show`", lambda: _outcomes(queue, run.progress.run))
    repeat(stream, "`audit --key`", lambda: len(list(queue.audit(key=plan.keys[0]))))
    chosen = [key for _, key in zip(range(20_000), queue.keys(Filter(codes=("4030",))), strict=False)]
    with stream.phase("`discard`") as facts:
        facts["found"] = sum(counts.total() for counts in queue.discard(chosen))
    with stream.phase("`export`") as facts, tempfile.TemporaryDirectory() as folder:
        facts["found"] = queue.export(Path(folder) / "letters", Filter(codes=("4085",)))
    with stream.phase("`purge`") as facts:
        facts["found"] = sum(queue.purge(older_than_seconds=95_000))


def _found(queue: FailureQueue, wanted: Filter) -> int:
    return len(queue.page(wanted).entries)


def _outcomes(queue: FailureQueue, run: str) -> int:
    return Outcomes(queue.client, run).look().total()


def _drained(queue: FailureQueue) -> int:
    """Wait until nothing is left to call but the live codes, or nothing moves; return how many."""
    client: Any = queue.client
    before, since = int(client.zcard(names.DUE)), time.monotonic()
    first = last = before
    while last > 100 and time.monotonic() - since < 20:  # noqa: PLR2004 - live codes; half a minute
        time.sleep(0.5)
        if (now := int(client.zcard(names.DUE))) < last:
            last, since = now, time.monotonic()
    return first - last


@contextlib.contextmanager
def worker_of(server: Server, url: str, folder: Path) -> Iterator[Tree]:
    """Run a worker with production's settings. It ends with the block."""
    # Settings that tests shorten have their defaults here. Plain http needs the dynamic password.
    given: dict[str, Any] = {**dict.fromkeys(SHORT_TIMES), "dynamic_password": True}
    env = environment(broker_url=server.url, gateway_url=url, heartbeat_file=str(folder / "beat"), **given)
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
    with Tree(command, log=folder / "worker.log", env={**os.environ, **env}, cwd=gateways.ROOT) as tree:
        end = time.monotonic() + 60
        while "worker.started" not in (folder / "worker.log").read_text(errors="replace"):
            if not tree.running or time.monotonic() > end:
                raise RuntimeError((folder / "worker.log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        yield tree


def settings_of(server: Server) -> Settings:
    """Return the operator's settings."""
    return load_settings(_env_file=None, broker_url=server.url, account="C0", apikey="none")


def table(stream: Live) -> Iterator[str]:
    """Return the table's lines."""
    waits = stream.waits()
    yield "| command | dead letters | seconds each | live codes | wait, median | wait, p99 |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for phase in stream.phases:
        seconds = (phase.ended_at - phase.began_at) / phase.facts.get("times", 1)
        median, p99 = quantiles(waits[phase.name])
        found = f"{phase.facts['found']:,}" if "found" in phase.facts else ""
        codes = len(waits[phase.name])
        told = f"{p99:.0f} ms" if codes >= 100 else ""  # noqa: PLR2004 - no 99th percentile of fewer
        took = f"{seconds:.3g}"
        yield (f"| {phase.name} | {found} | {took} | {codes:,} | {median:.0f} ms | {told} |")


def main() -> None:
    """Load, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--replay", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--latency", type=float, default=LATENCY_SECONDS)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="voicecode-bench-") as name,
        start_server() as server,
        gateways.own(asked.latency) as gateway,
    ):
        settings = settings_of(server)
        queue = FailureQueue(connect(settings), settings, operator="bench")
        client: Any = queue.client
        empty = client.info("memory")["used_memory"]
        started = time.perf_counter()
        sendable = max(asked.count * 15 // 100, asked.replay)
        load_mixed(client, asked.count, now=time.time(), span_seconds=100_000, sendable=sendable)
        loaded = time.perf_counter() - started
        each = (client.info("memory")["used_memory"] - empty) / asked.count
        print(f"{asked.count:,} dead letters, loaded in {loaded:.0f} s, {each:,.0f} bytes each")
        with (
            worker_of(server, gateway.url, Path(name)),
            live(server.url, gateway, asked.latency, rate=asked.rate) as stream,
        ):
            measure(queue, stream, asked.replay)
            print("\n".join(table(stream)))


if __name__ == "__main__":
    main()
