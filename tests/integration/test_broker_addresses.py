"""Whatever address Celery takes for Redis, a stock producer's code is delivered through it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from redis.sentinel import Sentinel

from config.settings import load
from tests.support.sandbox import Sandbox
from tests.support.sentinels import Sentinels
from worker.embedded.server import start_server
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

SECONDS = 1.0


def deliver(sandbox: Sandbox) -> None:
    """Send one code, and one that needs a second attempt: the hint goes the same way."""
    sandbox.worker()
    sandbox.gateway.script("13800138001", ["0"])
    keys = [sandbox.send(), sandbox.send("13800138001")]
    sandbox.wait_state(keys)
    sandbox.wait_empty()


def test_a_unix_socket(sandbox_simulator: RunningSimulator, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vc-") as short:  # a socket's path may have 107 bytes
        socket = f"{short}/s"
        with (
            start_server(extra=("--unixsocket", socket)) as server,
            Sandbox(
                server, sandbox_simulator, tmp_path, url=f"redis+socket://{socket}?virtual_host=0"
            ) as sandbox,
        ):
            deliver(sandbox)


def test_a_command_repeated_after_a_time_out_asks_sentinel_for_the_master(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """redis-py's own client repeats it at the old address, where a frozen master takes the connection and costs as much again."""
    with start_server() as old, start_server() as new:
        masters: list[Any] = [old]
        monkeypatch.setattr(Sentinel, "discover_master", lambda *_: ("127.0.0.1", masters[-1].port))
        with connect(load(broker_url="sentinel://127.0.0.1:1/0"), socket_timeout=SECONDS) as client:
            client.ping()
            os.kill(old.pid, signal.SIGSTOP)
            masters.append(new)
            started = time.monotonic()
            try:
                assert client.set("key", "1")
                assert time.monotonic() - started < 1.8 * SECONDS
            finally:
                os.kill(old.pid, signal.SIGCONT)


def test_sentinels_that_are_gone_are_not_asked_again_and_again() -> None:
    """Ten repetitions, redis-py's default, held every claim and outcome for seconds while another sentinel knew the master."""
    started = time.monotonic()
    with connect(load(broker_url="sentinel://127.0.0.1:1/0;sentinel://127.0.0.1:2/0")) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        assert time.monotonic() - started < 2 * SECONDS


def test_sentinels(sandbox_simulator: RunningSimulator, tmp_path: Path) -> None:
    with (
        Sentinels(tmp_path) as sentinels,
        Sandbox(sentinels.master, sandbox_simulator, tmp_path, url=sentinels.url) as sandbox,
    ):
        deliver(sandbox)


def speaks_tls(program: str) -> bool:
    """Tell whether it was built with TLS: then it asks for a certificate."""
    command = [program, "--tls-port", "1", "--port", "0"]
    return (
        b"tls-cert-file"
        in subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
        ).stdout
    )


def test_tls(sandbox_simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None or not speaks_tls(program):
        pytest.skip("no redis-server with TLS on PATH: apt-get install redis-server")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca, own = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(str(ca))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(own))
    monkeypatch.setenv("REDIS_SERVER", program)
    with start_server() as probe:
        port = probe.port  # free a moment ago
    extra = [
        f"--tls-port {port}",
        f"--tls-cert-file {own}",
        f"--tls-key-file {own}",
        f"--tls-ca-cert-file {ca}",
        "--tls-auth-clients no",
    ]
    words = tuple(word for option in extra for word in option.split())
    url = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={ca}"
    with (
        start_server(extra=words) as server,
        Sandbox(server, sandbox_simulator, tmp_path, url=url) as sandbox,
    ):
        deliver(sandbox)
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    settings = load(_env_file=None, broker_url=url.replace(str(ca), str(stranger)))
    with (
        start_server(extra=words),
        connect(settings) as client,
        pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY"),
    ):
        client.ping()
