"""Redis over TLS: queue and ledger verify whom they talk to, unless the address says otherwise."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from celery import Celery
from kombu.exceptions import OperationalError

from config.celeryconfig import celery_settings
from config.settings import Settings, load
from tests.support.sandbox import Sandbox
from worker.embedded import die_with_parent
from worker.embedded.server import Server, start_server
from worker.producer import Producer
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

PASSWORD = "made-up-word"
SENTINEL = """\
bind 127.0.0.1
port 0
tls-port {port}
dir {folder}
{tls}
tls-replication yes
requirepass {password}
sentinel monitor mymaster 127.0.0.1 {master} 1
"""


def program_with_tls() -> str | None:
    """Return a server that was built with TLS: it asks for a certificate."""
    for name in ("redis-server", "valkey-server"):
        program = shutil.which(name)
        if program:
            command = [program, "--tls-port", "1", "--port", "0"]
            said = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
            ).stdout
            if b"tls-cert-file" in said:
                return program
    return None


PROGRAM = program_with_tls()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no redis-server with TLS on PATH: apt-get install redis-server"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A server that speaks TLS as well, on a port of its own."""

    server: Server
    port: int
    ca: Path
    """Who signed its certificate."""
    options: tuple[str, ...]
    """For another server with the same certificate."""

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"


def free_port() -> int:
    with start_server() as probe:
        return probe.port


def secured(folder: Path, name: str) -> Secured:
    """Start a server whose certificate is for `name`."""
    authority = trustme.CA()
    ca, own, port = folder / "ca.pem", folder / "server.pem", free_port()
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(own))
    options = (
        *("tls-cert-file", str(own)),
        *("tls-key-file", str(own)),
        *("tls-ca-cert-file", str(ca)),
        *("tls-auth-clients", "no"),
    )
    words = ["--tls-port", str(port)]
    words += [f"--{word}" if number % 2 == 0 else word for number, word in enumerate(options)]
    return Secured(server=start_server(extra=words), port=port, ca=ca, options=options)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", PROGRAM or "")


@pytest.fixture
def trusted(tmp_path: Path) -> Iterator[Secured]:
    found = secured(tmp_path, "127.0.0.1")
    yield found
    found.server.close()


@pytest.fixture
def wrongly_named(tmp_path: Path) -> Iterator[Secured]:
    found = secured(tmp_path, "redis.example")
    yield found
    found.server.close()


def reach_queue(settings: Settings) -> None:
    """Connect as a worker's consumer does."""
    app = Celery(set_as_current=False)
    app.conf.update(celery_settings(settings), broker_transport_options={"socket_connect_timeout": 2})
    with app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        connection.default_channel.client.ping()


def reach_ledger(settings: Settings) -> None:
    with connect(settings) as client:
        client.ping()


REFUSED = pytest.raises((OperationalError, redis.ConnectionError), match="CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize("reach", [reach_queue, reach_ledger])
def test_a_certificate_that_nobody_vouches_for_is_refused(trusted: Secured, reach: Any) -> None:
    """With a plain rediss:// kombu verifies nothing: codes could come from anybody."""
    with REFUSED:
        reach(load(_env_file=None, broker_url=trusted.url))


@pytest.mark.parametrize("reach", [reach_queue, reach_ledger])
def test_a_certificate_for_another_name_is_refused(wrongly_named: Secured, reach: Any) -> None:
    with REFUSED:
        reach(load(_env_file=None, broker_url=wrongly_named.url, redis_ca_bundle=wrongly_named.ca))


@pytest.mark.parametrize("reach", [reach_queue, reach_ledger])
def test_the_address_may_say_otherwise(wrongly_named: Secured, reach: Any) -> None:
    reach(load(_env_file=None, broker_url=wrongly_named.url + "?ssl_cert_reqs=none"))
    lenient = f"?ssl_check_hostname=false&ssl_ca_certs={wrongly_named.ca}"
    reach(load(_env_file=None, broker_url=wrongly_named.url + lenient))


def test_the_documented_address_of_a_producer_verifies(trusted: Secured, wrongly_named: Secured) -> None:
    """As docs/producing.md has it: `?ssl_cert_reqs=required`."""
    for found, ca in ((trusted, None), (wrongly_named, wrongly_named.ca)):
        url = f"{found.url}?ssl_cert_reqs=required" + (f"&ssl_ca_certs={ca}" if ca else "")
        app = Celery("web", broker=url, set_as_current=False)
        with app.connection_for_write() as connection, REFUSED:
            connection.ensure_connection(max_retries=1, interval_start=0)
            connection.default_channel.client.ping()


@pytest.mark.parametrize("how", ["setting", "address"])
def test_a_code_is_delivered(
    trusted: Secured, sandbox_simulator: RunningSimulator, tmp_path: Path, how: str
) -> None:
    values: dict[str, Any] = {"redis_ca_bundle": str(trusted.ca)} if how == "setting" else {}
    url = trusted.url if values else f"{trusted.url}?ssl_ca_certs={trusted.ca}"
    with Sandbox(trusted.server, sandbox_simulator, tmp_path, url=url) as sandbox:
        sandbox.gateway.script("13800138000", ["0"])
        sandbox.worker(**values)
        sent = Producer(load(_env_file=None, broker_url=url, **values)).send("13800138000", "0042", key="k")
        sandbox.wait_state(sent.key)
        sandbox.wait_empty()


def test_sentinels_with_tls_and_a_password(
    trusted: Secured, sandbox_simulator: RunningSimulator, tmp_path: Path
) -> None:
    port, folder = free_port(), tmp_path / "sentinel"
    folder.mkdir()
    tls = "\n".join(
        f"{name} {value}" for name, value in zip(trusted.options[::2], trusted.options[1::2], strict=True)
    )
    config = folder / "sentinel.conf"
    config.write_text(
        SENTINEL.format(port=port, folder=folder, tls=tls, password=PASSWORD, master=trusted.port)
    )
    command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(PROGRAM), str(config), "--sentinel"]
    values: dict[str, Any] = {
        "sentinel_password": PASSWORD,
        "sentinel_tls": True,
        "redis_ca_bundle": str(trusted.ca),
    }
    url = f"sentinel://127.0.0.1:{port}/0"
    with (folder / "log").open("wb") as log:
        watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    try:
        with Sandbox(trusted.server, sandbox_simulator, tmp_path, url=url) as sandbox:
            sandbox.worker(**values)
            sent = Producer(load(_env_file=None, broker_url=url, **values)).send(
                "13800138000", "0042", key="k"
            )
            sandbox.wait_state(sent.key)
            sandbox.wait_empty()
    finally:
        assert watcher.stdin
        watcher.stdin.close()
        watcher.wait(die_with_parent.GRACE_SECONDS + 5)
