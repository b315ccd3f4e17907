"""Whatever address Celery takes for Redis, a stock producer's code is delivered through it."""

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import Sentinel

from config import names
from config.settings import load
from tests.support.sandbox import Sandbox
from tests.support.sentinels import Sentinels
from worker.embedded.server import start_server
from worker.producer import Producer
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
    """A frozen master accepts connections: repeating there, as redis-py does, costs twice."""
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
    """redis-py's default of ten repetitions held claims up while a sentinel knew the master."""
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


def test_sentinels_that_ask_for_a_password(sandbox_simulator: RunningSimulator, tmp_path: Path) -> None:
    """Queue and ledger get it alike, and so does `voicecode send`."""
    password = "made-up-word"
    with (
        Sentinels(tmp_path, password=password) as sentinels,
        Sandbox(sentinels.master, sandbox_simulator, tmp_path, url=sentinels.url) as sandbox,
    ):
        sandbox.gateway.script("13800138000", ["0"])
        sandbox.worker(sentinel_password=password)
        settings = load(_env_file=None, broker_url=sentinels.url, sentinel_password=password)
        sent = Producer(settings).send("13800138000", "0042", key="k")
        sandbox.wait_state(sent.key)
        sandbox.wait_empty()


def test_voicecode_send_uses_our_address_and_not_celerys(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    Producer(load(_env_file=None, broker_url=sandbox.url)).send("13800138000", "0042")
    assert sandbox.standing() == {names.QUEUE: 1}
