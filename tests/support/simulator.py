"""The simulator for tests: its own process, without limits per number unless asked for."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from worker.simulator.process import RunningSimulator, start
from worker.simulator.server import GATEWAY_PATH

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
    """Start a simulator; `.url` is the setting `gateway_url`, `.client` its control API.

    A context manager.
    """
    return start(
        account=account, apikey=apikey, journal=journal, latency_seconds=latency, strict=strict, extra=extra
    )


def signed_form(
    mobile: str, code: str = "0042", *, asked_format: str = "json", at: float | None = None
) -> dict[str, str]:
    """Return the form of a Submit with a dynamic password, as the provider describes it."""
    moment = str(int(time.time() if at is None else at))
    signature = hashlib.md5(
        f"{ACCOUNT}{APIKEY}{mobile}{code}{moment}".encode(), usedforsecurity=False
    ).hexdigest()
    return {
        "account": ACCOUNT,
        "password": signature,
        "mobile": mobile,
        "content": code,
        "time": moment,
        "format": asked_format,
    }


def encode_post(form: Mapping[str, str], *, method: str = "Submit", close: bool = True) -> bytes:
    """Return the bytes of a POST, for a socket of one's own."""
    body = urlencode(form).encode()
    lines = [
        f"POST {GATEWAY_PATH}?method={method} HTTP/1.1",
        "Host: simulator",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        *(["Connection: close"] if close else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
