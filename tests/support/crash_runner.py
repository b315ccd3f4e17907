"""CrashRunner: plays crashes, each in a database of its own, with a worker that dies and a healthy one after it."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from config import names
from tests.support.crashes import MEETINGS, TIMES, Crash, Scene
from tests.support.faulty_app import EXIT_STATUS
from tests.support.nursery import Child, Nursery
from tests.support.workers import environment, wait_for
from worker.embedded import Server
from worker.simulator.book import Submission
from worker.simulator.process import RunningSimulator

AT_ONCE: Final = 8
END_SECONDS: Final = 20.0
_HASHES: Final = (names.UNACKED, names.FETCHED)
_ZSETS: Final = (names.UNACKED_INDEX, names.DUE, names.EXPIRY)
_SURVIVED: Final = ("raise", "lose")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How it ended."""

    key: str
    records: Mapping[str, Mapping[str, str]]
    submissions: list[Submission]
    dead: list[str]
    log: str

    @property
    def record(self) -> Mapping[str, str]:
        """The record that was to be looked at."""
        return self.records[self.key]

    @property
    def word(self) -> str:
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
    """Begins with all of them at once, a few at a time; `end` waits for one and returns how it ended."""

    def __init__(self, server: Server, simulator: RunningSimulator, nursery: Nursery, folder: Path) -> None:
        self._server = server
        self._simulator = simulator
        self._nursery = nursery
        self._folder = folder
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._ends: dict[Crash, Future[End]] = {}

    def begin(self, crashes: Iterable[Crash]) -> None:
        """Begin to play them."""
        for crash in crashes:
            self._ends[crash] = self._pool.submit(self._play, crash, next(self._numbers))

    def end(self, crash: Crash) -> End:
        """Return how it ended, or raise what went wrong."""
        return self._ends[crash].result()

    def close(self) -> None:
        """Begin no more, and wait for those that are being played."""
        self._pool.shutdown(cancel_futures=True)

    def _play(self, crash: Crash, number: int) -> End:
        scene = Scene(f"{self._server.url.rpartition('/')[0]}/{number}", f"138{number:08}")
        log = self._folder / f"{crash}.log"
        env = environment(
            broker_url=scene.url,
            gateway_url=self._simulator.url,
            heartbeat_file=str(self._folder / f"{number}.heartbeat"),
            **{**TIMES, **dict(crash.settings)},
        )
        workers: list[Child] = []
        try:
            if crash.plays:
                self._simulator.client.script(scene.code.mobile, crash.plays)
            key = MEETINGS[crash.meets](scene)
            workers.append(self._nursery.worker(log, {**env, "FAULT": crash.fault}))
            if not crash.fault.endswith(_SURVIVED):
                status = workers[0].ended()
                assert status == EXIT_STATUS, f"the worker ended with {status}: {log.read_text()[-2000:]}"
                workers.append(self._nursery.worker(log, env))
            wait_for(lambda: self._settled(scene, key), END_SECONDS, f"the end of {crash}: {self._left(scene)}")
            return self._end(scene, key, log)
        except AssertionError as error:
            message = f"{error}\n{self._left(scene)}\n{log.read_text()[-3000:] if log.exists() else ''}"
            raise AssertionError(message) from None
        finally:
            for worker in workers:
                worker.kill()
            scene.close()

    def _settled(self, scene: Scene, key: str) -> bool:
        state = scene.redis.hget(names.RECORD_PREFIX + key, "state")
        return state in {"accepted", "dead"} and not self._left(scene)

    @staticmethod
    def _left(scene: Scene) -> dict[str, Any]:
        """Return what still stands in any list, in `unacked`, in `due` and their kin."""
        found = {name: scene.redis.llen(name) for name in scene.redis.scan_iter("*", _type="list")}
        found |= {name: scene.redis.hlen(name) for name in _HASHES}
        found |= {name: scene.redis.zcard(name) for name in _ZSETS}
        return {name: count for name, count in found.items() if count}

    def _end(self, scene: Scene, key: str, log: Path) -> End:
        prefix = len(names.RECORD_PREFIX)
        return End(
            key=key,
            records={name[prefix:]: scene.redis.hgetall(name) for name in scene.redis.scan_iter(names.RECORD_PREFIX + "*")},
            submissions=self._simulator.client.submissions(scene.code.mobile),
            dead=scene.redis.zrange(names.DEAD, 0, -1),
            log=log.read_text(),
        )
