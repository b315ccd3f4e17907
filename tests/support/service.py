"""A running service for tests: a Redis server, a simulator and one real worker process."""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import redis
from celery import Celery

from config import names
from tests.support.simulator import APIKEY, start_simulator
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, stock_producer, wait_for
from worker.embedded.server import Server, start_server
from worker.ledger.record import Record
from worker.simulator.process import RunningSimulator

TIMES: Final[dict[str, Any]] = {
    "connect_timeout_seconds": 1,
    "read_timeout_seconds": 0.6,
    "attempt_deadline_seconds": 1.5,
    "lease_seconds": 2,
    "hold_seconds": 2,
    "visibility_timeout_seconds": 2.5,
    "max_attempts": 3,
}
"""Apart enough that a busy machine does not take one for the other."""

ENDED: Final = ("accepted", "dead")
_numbers: Final = itertools.count(1)


def new_key() -> str:
    """Return a key that nobody used."""
    return f"key-{next(_numbers)}"


def new_number() -> str:
    """Return a mobile number that nobody used and that asks the simulator for nothing."""
    return f"137{next(_numbers):08}"


class Service:
    """Redis, simulator and worker, with what tests do to them."""

    def __init__(self, server: Server, simulator: RunningSimulator, worker: RunningWorker) -> None:
        self.server = server
        self.simulator = simulator
        self.worker = worker
        self.producer: Celery = stock_producer(server.url)
        self.redis: redis.Redis = server.client(decode_responses=True)

    def send(self, /, *args: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> str:
        """Enqueue as a web app does; return the task id. `headers`: arguments of `send_task`."""
        sent = self.producer.send_task(
            names.SEND_TASK, args=args, kwargs=kwargs, queue=names.QUEUE, **(headers or {})
        )
        return str(sent.id)

    def record(self, key: str) -> Record | None:
        values: Any = self.redis.hgetall(names.RECORD_PREFIX + key)
        return Record.from_hash(key, values)

    def ended(self, key: str, seconds: float = LIMIT_SECONDS) -> Record:
        """Wait until a code has ended, and return its record."""

        def look() -> Record | None:
            record = self.record(key)
            return record if record is not None and record.state in ENDED else None

        record: Record = wait_for(look, seconds, f"the end of {key}; now: {self.record(key)}")
        return record

    def submissions(self, mobile: str) -> int:
        return len(self.simulator.client.submissions(mobile))

    def calls(self, mobile: str) -> int:
        return len(self.simulator.client.calls(mobile))

    def lines(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        """Return the worker's log lines of one event with these facts."""
        return [line for line in self.worker.lines(event) if line.items() >= facts.items()]

    def line(self, event: str, **facts: Any) -> dict[str, Any]:
        """Wait for one log line and return it."""
        (line, *_) = wait_for(lambda: self.lines(event, **facts), LIMIT_SECONDS, f"the line {event}")
        return dict(line)

    def wait_lines(self, event: str, count: int, **facts: Any) -> list[dict[str, Any]]:
        """Wait for so many log lines of one event with these facts, and return all of them."""
        found = wait_for(
            lambda: len(self.lines(event, **facts)) >= count and self.lines(event, **facts),
            LIMIT_SECONDS,
            f"{count} lines {event}",
        )
        return list(found)

    def parked(self, key: str) -> bool:
        """Whether a code waits for the fleet to send again."""
        return self.redis.hmget(names.RECORD_PREFIX + key, "state", "parked")[0] == "waiting"

    def forget_incident(self) -> None:
        """Let the gateway answer again, and the fleet send as if nothing had been."""
        self.simulator.client.outage(None)
        fleet = f"{names.SENDING}:fleet"
        wait_for(
            lambda: not any('"unfit"' in str(said) for said in self.redis.hvals(fleet)),
            LIMIT_SECONDS,
            "a fit worker",
        )
        # In one command: a report in between would stop the fleet again.
        self.redis.delete(*(name for name in self.redis.scan_iter(f"{names.SENDING}*") if name != fleet))

    def wait_idle(self, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until nothing is left to do: neither on the queue, nor in `unacked`, nor due."""
        wait_for(lambda: not self.left(), seconds, "an idle worker")

    def left(self) -> dict[str, int]:
        """Return what waits where."""
        counts = {
            "queue": self.redis.llen(names.QUEUE),
            "unacked": self.redis.hlen(names.UNACKED),
            "due": self.redis.zcard(names.DUE),
        }
        return {name: int(count) for name, count in counts.items() if count}

    def settle(self, seconds: float) -> Self:
        """Give a thing that must not happen the time to happen."""
        time.sleep(seconds)
        return self


@contextmanager
def running_service(
    folder: Path, *, app: str = "worker", options: tuple[str, ...] = (), data: bool = False, **values: Any
) -> Iterator[Service]:
    """Start a service.

    `data`: the server keeps what it has over a restart. `values`: settings of the worker.
    """
    with ExitStack() as stack:
        server = stack.enter_context(start_server(data_dir=folder / "redis" if data else None))
        simulator = stack.enter_context(
            start_simulator(apikey=values.get("apikey", APIKEY), journal=folder / "journal")
        )
        given = {"broker_url": server.url, "gateway_url": simulator.url, **TIMES, **values}
        worker = RunningWorker(folder / "worker.log", environment(**given), app=app, options=options)
        service = Service(server, simulator, stack.enter_context(worker))
        stack.callback(service.redis.close)
        stack.callback(service.producer.close)
        worker.wait_ready()
        yield service
