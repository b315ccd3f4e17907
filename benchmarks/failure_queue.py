"""Measure the failure queue.

`python benchmarks/failure_queue.py [COUNT]` loads dead letters into a server of its own.

Prints times of the API in seconds (medians of five), the server's slowest commands in milliseconds
(on a busy machine these show the other programs), CPU time of server and client, and bytes per
entry.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config.settings import load as load_settings
from tests.support.dead_letters import load_mixed
from worker.embedded.server import start_server
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.store.client import connect

PAGES = {
    "no filter": Filter(),
    "reason": Filter(reason="ambiguous"),
    "code": Filter(codes=("4030",)),
    "two codes": Filter(codes=("4085", "4050")),
    "scope": Filter(scope="host"),
    "since": Filter(since=time.time() - 7200),
    "mobile ends": Filter(mobile_ends="8000"),
    "ambiguous": Filter(ambiguous=True),
    "sendable": Filter(sendable=True),
    "combination": Filter(reason="permanent", codes=("4085",), mobile_ends="8000"),
    "rare combination": Filter(codes=("4085",), ambiguous=True),
}


def median(action: Callable[[], Any], times: int = 5) -> float:
    """Return the median of the seconds that an action takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 4)


class Clock:
    """Time by the clock, and CPU time of the server and of this process.

    A busy machine does not distort the CPU times.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._began = self._now()

    def _now(self) -> tuple[float, float, float]:
        cpu = self._client.info("cpu")
        return time.perf_counter(), cpu["used_cpu_user"] + cpu["used_cpu_sys"], time.process_time()

    def told(self, count: int) -> dict[str, float]:
        """Return codes a second, and microseconds of CPU a code."""
        seconds, server, ours = (
            after - before for before, after in zip(self._began, self._now(), strict=True)
        )
        each = 1e6 / max(count, 1)
        return {
            "count": count,
            "a_second": round(count / seconds),
            "server_us_each": round(server * each),
            "client_us_each": round(ours * each),
        }


def main(count: int) -> None:
    """Load, measure, and print one JSON object."""
    result: dict[str, Any] = {"dead_letters": count}
    with start_server() as server:
        settings = load_settings(broker_url=server.url, account="C0", apikey="none", dead_retention_days=1)
        queue = FailureQueue(connect(settings), settings, operator="bench")
        client: Any = queue.client
        empty = client.info("memory")["used_memory"]
        started = time.perf_counter()
        now = time.time()
        load_mixed(client, count, now=now, span_seconds=100_000, sendable=count * 15 // 100)
        result["load_seconds"] = round(time.perf_counter() - started, 1)
        result["bytes_an_entry"] = round((client.info("memory")["used_memory"] - empty) / count)
        client.config_set("slowlog-log-slower-than", 5000)
        client.config_set("slowlog-max-len", 1000)
        client.slowlog_reset()
        result["first_page"] = {
            name: median(functools.partial(queue.page, wanted)) for name, wanted in PAGES.items()
        }
        result["stats"] = median(queue.stats)
        started = time.perf_counter()
        plan = queue.plan(Filter(sendable=True), Choice())
        result["plan"] = {**plan.as_dict(), "seconds": round(time.perf_counter() - started, 2)}
        keys = plan.keys[:100_000]
        clock = Clock(client)
        for _ in queue.replay(keys, Choice()):
            pass
        result["replay"] = clock.told(len(keys))
        clock = Clock(client)
        result["purge"] = clock.told(sum(queue.purge(older_than_seconds=80_000)))
        chosen = [key for _, key in zip(range(20_000), queue.keys(Filter(codes=("4030",))), strict=False)]
        clock = Clock(client)
        for _ in queue.discard(chosen):
            pass
        result["discard"] = clock.told(len(chosen))
        slow = [
            (round(entry["duration"] / 1000, 1), entry["command"][:30].decode())
            for entry in client.slowlog_get(1000)
        ]
        result["commands_over_5_ms"] = len(slow)
        result["slowest_commands_ms"] = sorted(slow, reverse=True)[:5]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
