"""A gateway client and the raw server that it talks to, with short time-outs."""

import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import Any

from config.settings import Settings, load
from tests.support.raw_server import Handler, RawServer
from worker.gateway.client import Gateway
from worker.message import VoiceCode
from worker.reply import Reply

CODE = VoiceCode(key="k", mobile="13800138000", code="0042")


def settings_for(url: str, **more: Any) -> Settings:
    """Return settings for a gateway at `url`, read from nowhere else."""
    values = {
        "account": "api-id",
        "apikey": "key-of-tests",
        "gateway_url": url,
        "dynamic_password": True,
        "connect_timeout_seconds": 1.0,
        "read_timeout_seconds": 2.0,
        "attempt_deadline_seconds": 3.0,
    }
    return load(**(values | more), _env_file=None)


@contextlib.contextmanager
def gateway(url: str, **more: Any) -> Iterator[Gateway]:
    """Give a client, closed afterwards."""
    client = Gateway(settings_for(url, **more))
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def raw_gateway(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", **more: Any
) -> Iterator[tuple[RawServer, Gateway]]:
    """Give a raw server and a client of it."""
    server = RawServer(handler, tls=tls)
    try:
        scheme = "https" if tls else "http"
        with gateway(f"{scheme}://{host}:{server.port}/webservice/voice.php", **more) as client:
            yield server, client
    finally:
        server.close()


def submit(client: Gateway, seconds: float = 3.0) -> Reply:
    """Submit the code of the tests."""
    return client.submit(CODE, deadline=time.monotonic() + seconds)
