"""A long outage of the gateway with many codes waiting: its cost to a worker, and its end."""

import base64
import dataclasses
import json
import statistics
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import redis
from celery import Celery

from config import names
from tests.support.proxy import Proxy
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, RunningWorker, enqueue, environment, stock_producer, wait_for
from worker.embedded.server import Server
from worker.ledger.record import Record
from worker.simulator.server import GATEWAY_PATH

_BATCH: Final = 1000
_WARM_UP: Final = 300
_EVERY_SECONDS: Final = 0.2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large and how fast.

    Lives, back-offs and the outage are scaled down by the same factor; durations are seconds.
    """

    codes: int
    life_seconds: float
    """Of half of the codes; the other half has three tenths less."""
    outage_seconds: float
    """Measured from when all codes wait for their retry."""
    settings: Mapping[str, Any]

    @property
    def retries_per_second(self) -> float:
        """What one worker may put back if its upkeep comes as early as jitter allows."""
        return float(1.25 * self.settings["upkeep_batch"] / self.settings["upkeep_interval_seconds"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured. Seconds, MB, submissions per second."""

    waiting: int
    """Codes that waited for their retry at the same time."""
    memory_before: float
    """After some hundred ordinary codes, fifty at a time."""
    memory_most: float
    new_code_waits: tuple[float, ...]
    """From publishing to the first look, while the others waited and after the gateway's return."""
    submissions_per_second: tuple[int, ...]
    """After the gateway's return, second by second."""
    ends: dict[str, int]
    """accepted, or the dead letter's reason -> codes."""
    late_burials: float
    """The longest time between a code's end and its dead letter."""

    def shown(self) -> str:
        """Return them in words."""
        waits = self.new_code_waits
        rates = self.submissions_per_second
        return (
            f"{self.waiting} waiting; {self.memory_before:.1f} MB before, {self.memory_most:.1f} MB at most; "
            f"{len(waits)} new codes waited {statistics.median(waits) * 1000:.0f} ms (median), "
            f"{max(waits) * 1000:.0f} ms at most; "
            f"after the return {max(rates)} submissions/s at most, {rates}; ends {self.ends}; "
            f"buried at most {self.late_burials:.1f} s after the end"
        )


class Watch(threading.Thread):
    """Looks at a worker's memory, and sends a new code now and then, until `stop`."""

    def __init__(self, pid: int, app: Celery, life_seconds: float) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._app = app
        self._life = life_seconds
        self._over = threading.Event()
        self.memory: list[float] = []
        self.sent: dict[str, float] = {}

    def run(self) -> None:
        """Look five times a second."""
        while not self._over.wait(_EVERY_SECONDS):
            self.memory.append(memory(self._pid))
            key, now = f"new:{len(self.sent)}", time.time()
            enqueue(self._app, f"15{len(self.sent):09d}", "0042", key=key, expires_at=now + self._life)
            self.sent[key] = now

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join()


def memory(pid: int) -> float:
    """Return a process's resident memory in MB."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        [kilobytes] = [
            line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS:")
        ]
    else:
        kilobytes = subprocess.run(
            ["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
        ).stdout
    return int(kilobytes) / 1024


def stock_message(client: redis.Redis, app: Celery) -> dict[str, Any]:
    """Return a stock producer's message, taken off the queue: no worker may run meanwhile."""
    enqueue(app, "14000000000", "0042")
    raw: Any = client.rpop(names.QUEUE)
    return dict(json.loads(raw))


def publish_many(client: redis.Redis, message: dict[str, Any], scale: Scale) -> None:
    """Put all codes on the queue as a stock producer's messages, a thousand a round trip."""
    now = time.time()
    for start in range(0, scale.codes, _BATCH):
        batch = range(start, min(start + _BATCH, scale.codes))
        client.lpush(
            names.QUEUE, *(_copy(message, n, now + scale.life_seconds * (1 - 0.3 * (n % 2))) for n in batch)
        )


def _copy(message: dict[str, Any], number: int, expires_at: float) -> str:
    args, kwargs = [f"14{number:09d}", "0042"], {"key": f"many:{number}", "expires_at": expires_at}
    task_id = str(uuid.uuid4())
    return json.dumps(
        {
            **message,
            "body": base64.b64encode(json.dumps([args, kwargs, {}]).encode()).decode(),
            "headers": {**message["headers"], "id": task_id, "root_id": task_id},
            "properties": {
                **message["properties"],
                "delivery_tag": str(uuid.uuid4()),
                "correlation_id": task_id,
            },
        }
    )


def records(server: Server, keys: list[str]) -> Iterator[Record]:
    """Give the record of each key; one that is missing is an AssertionError."""
    with server.client(decode_responses=True) as client:
        for start in range(0, len(keys), _BATCH):
            chunk = keys[start : start + _BATCH]
            with client.pipeline(transaction=False) as pipe:
                for key in chunk:
                    pipe.hgetall(names.RECORD_PREFIX + key)
                for key, values in zip(chunk, pipe.execute(), strict=True):
                    record = Record.from_hash(key, values)
                    assert record is not None, key
                    yield record


def measure(scale: Scale, server: Server, folder: Path) -> Figures:
    """Carry it out with one worker. Raises AssertionError if one of its steps is not reached."""
    app = stock_producer(server.url)
    with (
        start_simulator(journal=folder / "journal") as simulator,
        Proxy().start(simulator.port) as link,
        server.client() as client,
    ):
        message = stock_message(client, app)
        url = f"http://127.0.0.1:{link.port}{GATEWAY_PATH}"
        env = environment(
            broker_url=server.url,
            gateway_url=url,
            log_level="INFO",
            heartbeat_file=str(folder / "heartbeat"),
            **scale.settings,
        )
        with RunningWorker(folder / "worker.log", env, fresh=True).wait_ready() as worker:
            for number in range(_WARM_UP):
                enqueue(app, f"16{number:09d}", "0042", key=f"warm:{number}")
            wait_for(lambda: simulator.client.state()["calls"] == _WARM_UP, LIMIT_SECONDS, "the warm-up")
            before = memory(worker.pid)
            link.cut()
            publish_many(client, message, scale)
            # Expired codes are buried meanwhile, so all others wait as soon as the queue is empty.
            wait_for(lambda: client.llen(names.QUEUE) <= 1, scale.life_seconds, "every code's first attempt")
            waiting = int(client.zcard(names.DUE))
            with Watch(worker.pid, app, scale.life_seconds) as watch:
                time.sleep(scale.outage_seconds)
                link.heal()
                back_at = time.time()
                wait_for(
                    lambda: not _any_of_many(client), 2 * scale.life_seconds + 60, "the end of every code"
                )
            wait_for(lambda: not client.zcard(names.DUE), LIMIT_SECONDS, "the new codes' end")
        submitted = [s.at for s in simulator.client.submissions() if s.mobile.startswith("14")]
    many = list(records(server, [f"many:{n}" for n in range(scale.codes)]))
    new = list(records(server, list(watch.sent)))
    rates = Counter(int(at - back_at) for at in submitted)
    return Figures(
        waiting=waiting,
        memory_before=before,
        memory_most=max(watch.memory),
        new_code_waits=tuple((record.first_seen or 0) - watch.sent[record.key] for record in new),
        submissions_per_second=tuple(rates[second] for second in range(max(rates, default=0) + 1)),
        ends=dict(Counter(record.reason or record.state for record in many)),
        late_burials=max((r.died_at - r.expires_at for r in many if r.died_at and r.expires_at), default=0.0),
    )


def _any_of_many(client: Any) -> bool:
    """Return whether one of the many still waits; new codes come and go."""
    return (
        any(key.startswith(b"many:") for key in client.zrange(names.DUE, 0, 500))
        or client.zcard(names.DUE) > 500
    )
