"""Real worker processes for tests.

`celery -A worker worker`, as in production, with short times by settings.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from celery import Celery

from config.names import QUEUE, SEND_TASK, Event
from tests.support.fork_server import ForkedProcess, shared
from tests.support.simulator import ACCOUNT, APIKEY

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_SECONDS: Final = 60.0
"""How long a test waits for what must come: a loaded machine may take that long to start a worker.
A test that measures a time gives a limit of its own."""

SHORT_TIMES: Final[Mapping[str, Any]] = {
    "connect_timeout_seconds": 0.5,
    "read_timeout_seconds": 0.8,
    "attempt_deadline_seconds": 1,
    "lease_seconds": 1.5,
    "hold_seconds": 1.5,
    "visibility_timeout_seconds": 2,
    "upkeep_interval_seconds": 0.1,
    "reconnect_grace_seconds": 0.5,
    "shutdown_grace_seconds": 3,
    "backoff_scale": 0.02,
    "retry_gap_seconds": 0.05,
    "number_per_minute": 0,
    "stop_sending": False,
    "unfit_after": 0,
    "probe_seconds": 1,
    "balance_warn": "",
    "concurrency": 10,
    "dynamic_password": True,
    "log_format": "json",
    "log_level": "DEBUG",
}


def environment(*, broker_url: str, gateway_url: str, **values: Any) -> dict[str, str]:
    """Return a worker's environment; `values` are settings by their lower-case names.

    `python_path` among them is no setting: where a worker finds its modules, the checkout included.
    """
    python_path = str(values.pop("python_path", ROOT))
    given = {
        "broker_url": broker_url,
        "gateway_url": gateway_url,
        "account": ACCOUNT,
        "apikey": APIKEY,
        **SHORT_TIMES,
        **values,
    }
    ours = {
        f"VOICECODE_{name.upper()}": v if isinstance(v, str) else json.dumps(v)
        for name, v in given.items()
        if v is not None
    }
    # Names first, then each by itself: pytest changes a variable of its own between tests, while
    # threads of ours get here.
    names = [name for name in list(os.environ) if not name.startswith(("VOICECODE_", "PYTEST_"))]
    theirs = {name: value for name in names if (value := os.environ.get(name)) is not None}
    return {**theirs, **ours, "PYTHONPATH": python_path}


class RunningWorker:
    """One worker process; its log goes to a file. `app`: what stands behind `celery -A`.

    It is forked from a process that has imported everything, which saves most of a start's time.
    `fresh`: start it from nothing all the same. With an environment or options that may matter
    before it looks at its settings, it always is.
    """

    def __init__(
        self,
        log: Path,
        env: Mapping[str, str],
        *,
        app: str = "worker",
        options: tuple[str, ...] = (),
        fresh: bool = False,
    ) -> None:
        self.log = log
        self._arguments = ("-A", app, "worker", *options)
        self._command = [sys.executable, "-m", "celery", *self._arguments]
        self._env = dict(env)
        self._fresh = fresh or not {*options[::2]} <= {"-n"} or not shared().can_start(env)
        self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes] | ForkedProcess:
        with self.log.open("ab") as file:
            self._from = file.tell()
            if not self._fresh:
                return shared().start(self.log, self._env, self._arguments)
            return subprocess.Popen(self._command, env=self._env, cwd=ROOT, stdout=file, stderr=file)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, seconds: float = LIMIT_SECONDS) -> Self:
        """Wait until the worker says that it has started."""
        wait_for(
            lambda: not self.running or Event.WORKER_STARTED in self.text(self._from),
            seconds,
            "the worker to start",
        )
        if not self.running:
            raise AssertionError(self.text(self._from))
        return self

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(LIMIT_SECONDS)

    def ended(self, seconds: float = LIMIT_SECONDS) -> int:
        """Wait for its end; return its exit status, minus the signal's number if one ended it."""
        wait_for(lambda: not self.running, seconds, "the end of a worker")
        return self._process.wait(seconds)

    def stop(self, seconds: float = LIMIT_SECONDS) -> int:
        """End it with SIGTERM and return its exit status; SIGKILL where it does not end in time."""
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def restart(self, seconds: float = LIMIT_SECONDS) -> Self:
        """Start it again with the same log."""
        self._process = self._spawn()
        return self.wait_ready(seconds)

    def text(self, offset: int = 0) -> str:
        """Return everything that it wrote."""
        return self.log.read_bytes()[offset:].decode(errors="replace")

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return its log lines, of one event where it is named."""
        found = [
            json.loads(line)
            for line in self.text().splitlines()
            if line.startswith("{") and line.endswith("}")
        ]
        return [line for line in found if event is None or line.get("event") == event]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def stock_producer(broker_url: str) -> Celery:
    """Return a Celery app that knows nothing of ours, as a web app would have it."""
    app = Celery("web", broker=broker_url)
    app.conf.update(
        task_publish_retry=False, broker_transport_options={"socket_timeout": 2, "socket_connect_timeout": 1}
    )
    return app


def enqueue(app: Celery, mobile: Any, code: Any, **more: Any) -> str:
    """Send one code as a web app does, and return the task id."""
    return str(app.send_task(SEND_TASK, args=[mobile, code], kwargs=more, queue=QUEUE).id)


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until a condition holds; return its value. AssertionError names what did not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    message = f"waited {seconds:g} s for {what}"
    raise AssertionError(message)
