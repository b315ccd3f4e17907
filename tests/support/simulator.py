"""The simulator for tests: a process of its own, with the gateway's limits for one number off unless asked for."""

from collections.abc import Sequence
from pathlib import Path

from worker.simulator.process import RunningSimulator, start

ACCOUNT = "C00000001"
APIKEY = "made-up-key-of-the-tests"


def start_simulator(  # noqa: PLR0913 - one argument per option
    *,
    account: str = ACCOUNT,
    apikey: str = APIKEY,
    journal: Path | None = None,
    latency: float = 0,
    strict: bool = False,
    extra: Sequence[str] = (),
) -> RunningSimulator:
    """Start a simulator; `.url` is the setting `gateway_url`, `.client` its control API. A context manager."""
    return start(account=account, apikey=apikey, journal=journal, latency_seconds=latency, strict=strict, extra=extra)
