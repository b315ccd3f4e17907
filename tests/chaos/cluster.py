"""The cluster: Redis, the gateway, and several workers, each behind proxies of its own."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

from config import names
from config.settings import Settings, load
from tests.chaos.plan import Options
from tests.support.proxy import Proxy
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, ROOT, RunningWorker, environment, wait_for
from worker.embedded.server import start_server
from worker.simulator.journal import Submission
from worker.simulator.server import GATEWAY_PATH

LIVES_OF_TESTS: Final = {
    "max_ttl_seconds": 600,
    "code_ttl_seconds": 60,
    "accepted_ttl_seconds": 86_400,
    # As by default: an empty account and an outage are among the faults.
    "stop_sending": True,
    "unfit_after": 20,
    "number_per_minute": 5,
}


class Cluster:
    """Everything that runs, and the connections between.

    A context manager; `folder` keeps logs, journal and Redis' files.
    """

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self._exits = contextlib.ExitStack()
        enter = self._exits.enter_context
        # Strict accounting: with `everysec`, a killed server may forget what it acknowledged.
        self.redis = enter(start_server(data_dir=folder / "redis", extra=["--appendfsync", "always"]))
        self.gateway = enter(start_simulator(journal=self.journal, latency=options.latency_seconds))
        self.redis_links = [enter(Proxy().start(self.redis.port)) for _ in range(options.workers)]
        # Each worker comes from an address of its own: the gateway can refuse one of them.
        self.addresses = [f"127.0.0.{number + 2}" for number in range(options.workers)]
        self.gateway_links = [
            enter(Proxy().start(self.gateway.port, address=address)) for address in self.addresses
        ]
        self.frozen = False
        """Whether the provider has frozen the account: only its word makes resuming worth a try."""
        self.producer_link = enter(Proxy().start(self.redis.port))
        self.workers = [enter(self._worker(n)) for n in range(options.workers)]
        for worker in self.workers:
            worker.wait_ready(60)
        if options.scenarios:
            self.gateway.client.rates(options.scenarios, seed=options.seed)
        self._producer: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> Path:
        """The gateway's."""
        return self.folder / "journal"

    @property
    def production(self) -> Path:
        """The producer's log."""
        return self.folder / "produced"

    def settings(self) -> Settings:
        """Return the settings of a worker, with a connection to Redis that no fault cuts."""
        env = environment(
            broker_url=self.redis.url, gateway_url=self.gateway.url, **LIVES_OF_TESTS, **self.options.settings
        )
        values = {
            name.removeprefix("VOICECODE_").lower(): v
            for name, v in env.items()
            if name.startswith("VOICECODE_")
        }
        return load(**{**values, "_env_file": None})

    def _worker(self, number: int) -> RunningWorker:
        env = environment(
            broker_url=f"redis://127.0.0.1:{self.redis_links[number].port}/0",
            gateway_url=f"http://127.0.0.1:{self.gateway_links[number].port}{GATEWAY_PATH}",
            heartbeat_file=str(self.folder / f"heartbeat-{number}"),
            host_name=self.addresses[number],
            **LIVES_OF_TESTS,
            **self.options.settings,
        )
        return RunningWorker(
            self.folder / f"worker-{number}.log",
            env,
            app=self.options.app,
            options=("-n", f"worker-{number}"),
            fresh=True,
        )

    def start_producing(self) -> None:
        """Start the producer's process, and wait for its first code."""
        o = self.options
        numbers = [str(n) for n in (o.seconds, o.rate, o.life_seconds, o.duplicates, o.seed)]
        broker_url = f"redis://127.0.0.1:{self.producer_link.port}/0"
        command = [
            sys.executable,
            "-m",
            "tests.chaos.load_generator",
            broker_url,
            str(self.production),
            *numbers,
        ]
        with (self.folder / "producer.log").open("ab") as log:
            self._producer = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self._exits.callback(self._producer.kill)
        wait_for(
            lambda: self.production.exists() and self.production.stat().st_size,
            LIMIT_SECONDS,
            "the first code",
        )

    def end_producing(self, seconds: float) -> None:
        """Wait until the last code was acknowledged."""
        if self._producer is not None and self._producer.wait(seconds) != 0:
            raise AssertionError((self.folder / "producer.log").read_text())

    def produced(self) -> list[dict[str, Any]]:
        """Return what the producer logged."""
        return [json.loads(line) for line in self.production.read_text().splitlines()]

    def submissions(self) -> list[Submission]:
        """Return what the gateway received, from its journal."""
        lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [Submission(**line) for line in lines if "change" not in line]

    def backlog(self) -> dict[str, int]:
        """Return how much is in the queue, among the hints, in `unacked` and in `due`."""
        with self.redis.client() as client, client.pipeline(transaction=True) as pipe:
            pipe.llen(names.QUEUE)
            pipe.llen(names.HINTS)
            pipe.hlen(names.UNACKED)
            pipe.zcard(names.DUE)
            return dict(zip(("queue", "hints", "unacked", "due"), map(int, pipe.execute()), strict=True))

    def drain(self, seconds: float) -> dict[str, int]:
        """Wait until nothing is waiting any more, or time is over; return what is left."""
        end = time.monotonic() + seconds
        empty = 0
        while True:
            left = self.backlog()
            empty = 0 if any(left.values()) else empty + 1
            if empty > 1 or time.monotonic() > end:
                return left
            time.sleep(0.3)

    def wait_sending(self, seconds: float) -> None:
        """Wait until the fleet sends again, or for so long."""
        with self.redis.client() as client, contextlib.suppress(AssertionError):
            wait_for(
                lambda: client.hget(names.SENDING, "state") in {None, b"sending"},
                seconds,
                "sending to return",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            worker.kill()
        self._exits.close()
