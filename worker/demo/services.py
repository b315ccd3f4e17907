"""Services: a Redis server, the simulator and one real worker process.

All of them end with the demo, however it ends.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from config.checks import PREFIX
from config.names import Event
from config.settings import Settings
from worker.embedded import die_with_parent
from worker.embedded.server import start_server
from worker.simulator import process
from worker.simulator.process import RunningSimulator

ACCOUNT: Final = "C00000000"
_START_SECONDS: Final = 30.0
_LOG_TAIL: Final = 3000
_GATEWAY_SECONDS: Final = 0.15
_ROOT: Final = Path(__file__).resolve().parents[2]

SHORT_TIMES: Final[Mapping[str, Any]] = {
    "connect_timeout_seconds": 1,
    "read_timeout_seconds": 1,
    "attempt_deadline_seconds": 2,
    "lease_seconds": 3,
    "hold_seconds": 3,
    "visibility_timeout_seconds": 4,
    "upkeep_interval_seconds": 0.1,
    "backoff_scale": 0.02,
    "retry_gap_seconds": 1.1,
    "shutdown_grace_seconds": 2,
    "probe_seconds": 1,
    "concurrency": 20,
}
"""They show in half a minute what otherwise takes many."""


class DemoError(Exception):
    """The demo cannot begin or carry on. The text says why, and what helps."""


class DemoWorker:
    """One worker process, `celery -A worker worker`, and its log."""

    def __init__(self, env: Mapping[str, str], *, folder: Path, cwd: Path) -> None:
        self.log: Final = folder / "worker.log"
        command = [
            sys.executable,
            "-I",
            "-S",
            die_with_parent.__file__,
            sys.executable,
            "-m",
            "celery",
            "-A",
            "worker",
            "worker",
        ]
        with self.log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                command,
                env={**env, "PYTHONPATH": str(_ROOT)},
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,  # Ctrl-C reaches the demo, which then ends its worker
            )

    def wait_ready(self) -> None:
        """Wait until it consumes. Raises DemoError, with the end of its log, if it does not."""
        end = time.monotonic() + _START_SECONDS
        while Event.WORKER_STARTED not in self._text():
            if self._process.poll() is not None or time.monotonic() > end:
                message = "the worker did not start"
                raise self.trouble(message)
            time.sleep(0.02)

    def trouble(self, what: str) -> DemoError:
        """Return an error to be raised, with the end of its log."""
        return DemoError(f"{what}; the worker's log ends with:\n{self._text()[-_LOG_TAIL:].strip()}")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines of one event."""
        marked = f'"event": "{event}"'
        return [
            json.loads(line) for line in self._text().splitlines() if marked in line and line.endswith("}")
        ]

    def _text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def close(self) -> None:
        """End it: a warm shutdown first, SIGKILL after a grace."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(die_with_parent.GRACE_SECONDS + 5)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Give a folder for logs that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="voicecode-demo-") as name:
        yield Path(name)


@contextlib.contextmanager
def broker(settings: Settings) -> Iterator[str]:
    """Give the address of the Redis in the settings, or of one started for the demo."""
    if "broker_url" in settings.model_fields_set:
        yield settings.broker_url.get_secret_value()
        return
    with start_server() as server:
        yield server.url


@contextlib.contextmanager
def simulator() -> Iterator[tuple[RunningSimulator, Mapping[str, Any]]]:
    """Give a simulator, and the settings of a worker that calls through it."""
    apikey = secrets.token_hex(16)
    with process.start(account=ACCOUNT, apikey=apikey, latency_seconds=_GATEWAY_SECONDS) as running:
        yield (
            running,
            {"account": ACCOUNT, "apikey": apikey, "gateway_url": running.url, "dynamic_password": True},
        )


@contextlib.contextmanager
def worker(values: Mapping[str, Any], *, logs: Path, clean: bool) -> Iterator[DemoWorker]:
    """Give a worker that consumes. `values`: settings by name.

    `clean`: it sees no other settings, from neither the environment nor `.env`.
    """
    inherited = {name: value for name, value in os.environ.items() if not (clean and name.startswith(PREFIX))}
    given = {**values, "log_format": "json", "log_level": "DEBUG", "heartbeat_file": str(logs / "heartbeat")}
    ours = {
        PREFIX + name.upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }
    running = DemoWorker({**inherited, **ours}, folder=logs, cwd=logs if clean else Path.cwd())
    try:
        running.wait_ready()
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def console(values: Mapping[str, Any], *, logs: Path) -> Iterator[str]:
    """Give the address of a console, in a process that ends with the demo."""
    ours = {PREFIX + name.upper(): str(value) for name, value in values.items()}
    file = logs / "console.log"
    with file.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                *(sys.executable, "-I", "-S", die_with_parent.__file__, sys.executable),
                *("-m", "worker.cli", "console", "--port", "0"),
            ],
            env={**os.environ, **ours, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _address(process, file)
    finally:
        process.terminate()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait for the address that the console prints. Raises DemoError."""
    end = time.monotonic() + _START_SECONDS
    while True:
        text = log.read_text(errors="replace")
        if "token=" in text and "\n" in text:
            return text.partition("The console: ")[2].partition("\n")[0]
        if process.poll() is not None or time.monotonic() > end:
            message = f"the console did not start; its log ends with:\n{text[-_LOG_TAIL:].strip()}"
            raise DemoError(message)
        time.sleep(0.05)
