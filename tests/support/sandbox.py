"""A sandbox for tests of faults: Redis, a gateway, and workers, any of which may die."""

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

from celery import Celery

from config import names
from tests.support.sentinels import MASTER
from tests.support.workers import LIMIT_SECONDS, RunningWorker, enqueue, environment, stock_producer, wait_for
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator
from worker.store import keys

LISTS: Final = (
    names.QUEUE,
    *keys.PRIORITY_LISTS,
)
MOBILE: Final = "13800138000"
CODE: Final = "0042"


class Sandbox:
    """Puts the parts together. Workers are ended with SIGKILL when the sandbox closes."""

    def __init__(
        self, server: Server, simulator: RunningSimulator, folder: Path, *, url: str | None = None
    ) -> None:
        self.server = server
        self.simulator = simulator
        self.gateway = simulator.client
        self.url = url or server.url
        self.redis: Any = server.client(decode_responses=True)
        """Typed as Any: redis-py's answers are unions with awaitables."""
        self.raw: Any = server.client()
        self.workers: list[RunningWorker] = []
        self._folder = folder
        self._producers: dict[str, Celery] = {}
        self._numbers = itertools.count(1)

    def worker(
        self, *, ready: bool = True, app: str = "worker", options: tuple[str, ...] = (), **values: Any
    ) -> RunningWorker:
        """Start a worker; `values` are settings, `broker_url` and `gateway_url` included."""
        name = f"worker{len(self.workers) + 1}"
        given = {
            "broker_url": self.url,
            "gateway_url": self.simulator.url,
            "heartbeat_file": str(self.heartbeat(name)),
            **values,
        }
        env = environment(**given)
        worker = RunningWorker(
            self._folder / f"{name}.log", env, app=app, options=("-n", f"{name}@tests", *options)
        )
        self.workers.append(worker)
        return worker.wait_ready() if ready else worker

    def heartbeat(self, name: str = "worker1") -> Path:
        """Return the heartbeat file of a worker."""
        return self._folder / f"{name}.heartbeat"

    def producer(self, url: str | None = None) -> Celery:
        """Return a stock producer's Celery app, the same one each time."""
        url = url or self.url
        if url not in self._producers:
            app = self._producers[url] = stock_producer(url)
            if url.startswith("sentinel://"):
                app.conf.broker_transport_options["master_name"] = MASTER
        return self._producers[url]

    def send(self, mobile: str = MOBILE, code: str = CODE, *, url: str | None = None, **more: Any) -> str:
        """Enqueue one code as a web app does, and return its key."""
        more.setdefault("key", f"k{next(self._numbers)}")
        enqueue(self.producer(url), mobile, code, **more)
        return str(more["key"])

    def send_all(self, count: int, **more: Any) -> list[str]:
        """Enqueue so many codes, each for a number of its own."""
        return [self.send(f"138{next(self._numbers):08}", **more) for _ in range(count)]

    def push(self, item: str | bytes, queue: str = names.QUEUE) -> None:
        """Put raw bytes on the queue, where a producer's message would stand."""
        self.raw.lpush(queue, item)

    def record(self, key: str) -> dict[str, str]:
        """Return what the ledger holds of a key."""
        return dict(self.redis.hgetall(names.RECORD_PREFIX + key))

    def state(self, key: str) -> str | None:
        """Return a code's state, None where nobody claimed it yet."""
        return self.states([key])[0]

    def states(self, keys: Iterable[str]) -> list[str | None]:
        """Return the states of several codes, in one round trip."""
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(names.RECORD_PREFIX + key, "state")
            return list(pipe.execute())

    def wait_state(
        self, keys: str | Sequence[str], state: str = "accepted", seconds: float = LIMIT_SECONDS
    ) -> float:
        """Wait until each code is in a state; return the seconds that it took."""
        wanted = [keys] if isinstance(keys, str) else keys
        started = time.monotonic()
        try:
            wait_for(
                lambda: all(found == state for found in self.states(wanted)),
                seconds,
                f"{len(wanted)} codes to be {state}",
            )
        except AssertionError as error:
            left = [
                (key, found) for key, found in zip(wanted, self.states(wanted), strict=True) if found != state
            ]
            message = f"{error}: {left[:5]} of {len(left)}; {self.standing()}"
            raise AssertionError(message) from None
        return time.monotonic() - started

    def standing(self) -> dict[str, int]:
        """Return message counts: queue, lists beside it, `unacked`; without empty ones."""
        found = {name: self.redis.llen(name) for name in LISTS}
        found |= {
            names.UNACKED: self.redis.hlen(names.UNACKED),
            names.UNACKED_INDEX: self.redis.zcard(names.UNACKED_INDEX),
        }
        found |= {names.FETCHED: self.redis.hlen(names.FETCHED)}
        return {name: count for name, count in found.items() if count}

    def wait_empty(self, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until no message stands anywhere."""
        wait_for(lambda: not self.standing(), seconds, "queue and unacked to be empty")

    def wait_waiting(self, workers: int = 1) -> None:
        """Wait until so many workers wait for the empty queue, with the command at the server."""
        wait_for(lambda: self._blocked() >= workers, LIMIT_SECONDS, f"{workers} workers to wait")

    def wait_submitted(self, mobile: str = MOBILE, count: int = 1, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until the gateway has so many forms for a number."""
        wait_for(lambda: len(self.gateway.submissions(mobile)) >= count, seconds, f"{count} submissions")

    def wait_log(self, worker: RunningWorker, event: str, seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
        """Wait for a line in a worker's log and return it."""
        line: dict[str, Any] = wait_for(lambda: worker.lines(event), seconds, f"a line {event}")[0]
        return line

    def close(self) -> None:
        """End the workers and let go of the connections."""
        for worker in self.workers:
            if worker.running:
                worker.kill()
        for producer in self._producers.values():
            producer.close()
        self.redis.close()
        self.raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _blocked(self) -> int:
        clients = self.redis.client_list()
        return sum(
            "b" in client["flags"] and client["cmd"].lower() in {"blmove", "brpop"} for client in clients
        )


def message(key: str, mobile: str = MOBILE, code: str = CODE, **properties: Any) -> str:
    """Return a code's message as text, written by hand in kombu's format."""
    body = [[mobile, code], {"key": key}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    about = {
        "delivery_tag": f"tag-{key}",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": names.QUEUE},
    }
    return json.dumps(
        {
            "body": json.dumps(body),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": names.SEND_TASK, "id": f"id-{key}", "root_id": f"id-{key}"},
            "properties": {"priority": 0, "correlation_id": f"id-{key}", **about, **properties},
        }
    )


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Hold a process with SIGSTOP for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
