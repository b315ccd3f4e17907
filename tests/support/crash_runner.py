"""Runs crashes, each in its own database: a worker dies, and a healthy one follows."""

import collections
import dataclasses
import itertools
import os
import signal
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from config import names
from config.names import Event
from tests.support.crashes import SITUATIONS, TIMES, Crash, Database
from tests.support.fault_markers import EXIT_STATUS, FROZEN, STALLED
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, wait_for
from worker.embedded.server import Server, start_server
from worker.simulator.journal import Submission
from worker.simulator.process import RunningSimulator

AT_ONCE: Final = 8
FAULTY: Final = "tests.support.faulty_app"
_HASHES: Final = (names.UNACKED, names.FETCHED)
_ZSETS: Final = (names.UNACKED_INDEX, names.DUE, names.EXPIRY)
_SURVIVED: Final = ("raise", "lose", "stall", "freeze")
SOCKET_SECONDS: Final = 0.4
PATIENT: Final = {
    "attempt_deadline_seconds": 4,
    "lease_seconds": 5,
    "hold_seconds": 5,
    "visibility_timeout_seconds": 6,
}
"""Nothing is to be brought back by time alone where Redis is frozen for a moment."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How it ended."""

    key: str
    records: Mapping[str, Mapping[str, str]]
    submissions: list[Submission]
    dead: list[str]
    sending: Mapping[str, str]
    """Whether the fleet sends, as its record says."""
    log: str
    twice: set[str]
    """With Redis frozen: digests of scripts, and other commands, executed more than once."""

    @property
    def record(self) -> Mapping[str, str]:
        """The record that was to be looked at."""
        return self.records[self.key]

    @property
    def status(self) -> str:
        """`accepted`, or the reason of the dead letter."""
        return self.record.get("reason") or self.record["state"]

    @property
    def calls(self) -> int:
        """Calls that the gateway placed, by its own journal."""
        return sum(submission.called for submission in self.submissions)

    @property
    def ambiguous(self) -> int:
        """Attempts of which nobody knows whether the phone rang."""
        return int(self.record.get("ambiguous_total", 0))


class CrashRunner:
    """Starts all crashes, a few at a time; `end` waits for one and returns how it ended."""

    def __init__(self, server: Server, simulator: RunningSimulator, folder: Path) -> None:
        self._server = server
        self._simulator = simulator
        self._folder = folder
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._ends: dict[Crash, Future[End]] = {}

    def begin(self, crashes: Iterable[Crash]) -> None:
        """Start running them."""
        for crash in crashes:
            self._ends[crash] = self._pool.submit(self._run, crash, next(self._numbers))

    def end(self, crash: Crash) -> End:
        """Return how it ended, or raise what went wrong."""
        return self._ends[crash].result()

    def close(self) -> None:
        """Begin no more, and wait for those that are running."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, crash: Crash, number: int) -> End:
        if not crash.stalls:
            return self._on(self._server, crash, number)
        # Every command is noted in the slow log: whether it came twice is seen there.
        with start_server(
            extra=("--databases", "200", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000")
        ) as server:
            return self._on(server, crash, number)

    def _on(self, server: Server, crash: Crash, number: int) -> End:
        database = Database(f"{server.url.rpartition('/')[0]}/{number}", f"138{number:08}")
        log = self._folder / f"{crash}.log"
        env = environment(
            broker_url=database.url,
            gateway_url=self._simulator.url,
            heartbeat_file=str(self._folder / f"{number}.heartbeat"),
            **{**TIMES, **(PATIENT if crash.stalls else {}), **dict(crash.settings)},
        )
        if crash.stalls:
            env |= {"FAULT_REDIS_PID": str(server.pid), "FAULT_SOCKET_SECONDS": str(SOCKET_SECONDS)}
        workers: list[RunningWorker] = []
        try:
            if crash.scenarios:
                self._simulator.client.script(database.code.mobile, crash.scenarios)
            key = SITUATIONS[crash.situation](database)
            workers.append(RunningWorker(log, {**env, "FAULT": crash.fault}, app=FAULTY))
            if crash.stalls:
                wait_for(lambda: STALLED in log.read_text(), LIMIT_SECONDS, "Redis to be frozen")
                time.sleep(crash.stalls)
                os.kill(server.pid, signal.SIGCONT)
            if not crash.fault.endswith(_SURVIVED) or ":stop" in crash.fault:
                status = workers[0].ended()
                expected = 0 if crash.stalls else EXIT_STATUS
                assert status == expected, f"the worker ended with {status}: {log.read_text()[-2000:]}"
                workers.append(RunningWorker(log, env, app=FAULTY))
            if crash.freezes:
                wait_for(lambda: FROZEN in log.read_text(), LIMIT_SECONDS, "the worker to be frozen")
                workers.append(RunningWorker(log.with_suffix(".other.log"), env, app=FAULTY))
            wait_for(
                lambda: self._settled(database, key),
                LIMIT_SECONDS,
                f"the end of {crash}: {self._left(database)}",
            )
            if crash.freezes:
                workers[0].signal(signal.SIGCONT)
                wait_for(
                    lambda: Event.ATTEMPT_FINISHED in log.read_text(),
                    LIMIT_SECONDS,
                    "the frozen worker's own end",
                )
                wait_for(
                    lambda: self._settled(database, key),
                    LIMIT_SECONDS,
                    f"the end of {crash}: {self._left(database)}",
                )
            if crash.pages:
                wait_for(lambda: '"alert": "page"' in log.read_text(), LIMIT_SECONDS, "a page")
            return self._end(crash, database, key, log)
        except AssertionError as error:
            message = f"{error}\n{self._left(database)}\n{log.read_text()[-3000:] if log.exists() else ''}"
            raise AssertionError(message) from None
        finally:
            for worker in workers:
                worker.kill()
            database.close()

    def _settled(self, database: Database, key: str) -> bool:
        state = database.redis.hget(names.RECORD_PREFIX + key, "state")
        return state in {"accepted", "dead"} and not self._left(database)

    @staticmethod
    def _left(database: Database) -> dict[str, Any]:
        """Return what still stands in any list, in `unacked`, in `due` and their kin."""
        found = {name: database.redis.llen(name) for name in database.redis.scan_iter("*", _type="list")}
        found |= {name: database.redis.hlen(name) for name in _HASHES}
        found |= {name: database.redis.zcard(name) for name in _ZSETS}
        return {name: count for name, count in found.items() if count}

    def _end(self, crash: Crash, database: Database, key: str, log: Path) -> End:
        prefix = len(names.RECORD_PREFIX)
        return End(
            key=key,
            records={
                name[prefix:]: database.redis.hgetall(name)
                for name in database.redis.scan_iter(names.RECORD_PREFIX + "*")
            },
            submissions=self._simulator.client.submissions(database.code.mobile),
            dead=database.redis.zrange(names.DEAD, 0, -1),
            sending=database.redis.hgetall(names.SENDING),
            log=log.read_text(),
            twice=_twice(database.redis) if crash.stalls else set(),
        )


def _twice(client: Any) -> set[str]:
    """Return commands that came more than once with the same arguments; scripts by digest."""
    commands = [entry["command"].decode(errors="replace") for entry in client.slowlog_get(100_000)]
    again = [command for command, count in collections.Counter(commands).items() if count > 1]
    return {command.split()[1] if command.startswith("EVALSHA") else command for command in again}
