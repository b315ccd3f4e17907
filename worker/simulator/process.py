"""RunningSimulator: the simulator as a child process that ends with its parent."""

import collections
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from worker.simulator.client import SimulatorClient
from worker.simulator.control import PREFIX
from worker.simulator.server import GATEWAY_PATH

_ROOT: Final = Path(__file__).resolve().parents[2]
_READY: Final = "simulator ready "
_CONTROL: Final = "control "
_STOP_SECONDS: Final = 5.0


class SimulatorNotStartedError(Exception):
    """The simulator ended before it was ready; the text is what it printed."""


class RunningSimulator:
    """A simulator process, its addresses and its client."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self.output: collections.deque[str] = collections.deque(maxlen=10_000)
        """What it printed since it was ready: with `--verbose` a line for each submission."""
        self._begin(ports=())

    @property
    def url(self) -> str:
        """The setting `gateway_url`."""
        return self.address + GATEWAY_PATH

    gateway_url = url

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def environment_at(self, address: str) -> Mapping[str, str]:
        """Return environment variables that give a worker a client address of its own.

        The worker uses the simulator as its HTTP proxy, and the proxy's user stands for the
        client's address. `gateway_url` must be http, and stays the same for all workers.
        """
        proxy = f"http://{address}:any@{self.address.partition('://')[2]}"
        return {
            "VOICECODE_PROXIES_FROM_ENVIRONMENT": "true",
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
        }

    def stop(self) -> int:
        """End it (SIGTERM) and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same ports; stop it first if it runs."""
        self.stop()
        self._begin(ports=("--port", str(self.port), "--control-port", str(self.control_port)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _begin(self, ports: Sequence[str]) -> None:
        more = ["--parent-pid", str(os.getpid()), *ports]
        path = os.pathsep.join(entry for entry in (str(_ROOT), os.environ.get("PYTHONPATH")) if entry)
        self._process = subprocess.Popen(  # noqa: S603 - our own module with our own arguments
            [sys.executable, "-m", "worker.simulator", *self._arguments, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        first, second = self._line(), self._line()
        if not first.startswith(_READY):
            _output, errors = self._process.communicate()
            raise SimulatorNotStartedError((first + second + errors).strip())
        self.address = first.removeprefix(_READY).strip()
        self.port = _port(self.address)
        control = second.removeprefix(_CONTROL).strip().removesuffix(PREFIX)
        self.control_port = _port(control)
        self.client = SimulatorClient(control)
        self._readers = [
            threading.Thread(target=self._drain, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def _line(self) -> str:
        stream = self._process.stdout
        return stream.readline() if stream else ""

    def _drain(self, name: str) -> None:
        with getattr(self._process, name) as stream:
            self.output.extend(line.rstrip("\n") for line in iter(stream.readline, ""))

    def _end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for reader in self._readers:
            reader.join()
        return status


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def start(  # noqa: PLR0913 - one argument per option
    *,
    account: str,
    apikey: str,
    journal: Path | None = None,
    latency_seconds: float = 0.0,
    strict: bool = True,
    extra: Sequence[str] = (),
) -> RunningSimulator:
    """Start a simulator on free ports and wait until it is ready. Raises SimulatorNotStartedError.

    `strict`: the gateway's limits for one number hold (4080, 408). `extra`: further options of
    `python -m worker.simulator`.
    """
    arguments = ["--account", account, "--apikey", apikey, "--latency", str(latency_seconds), *extra]
    if journal is not None:
        arguments += ["--journal", str(journal)]
    if not strict:
        arguments += ["--per-second", "0", "--per-minute", "0"]
    return RunningSimulator(arguments)
