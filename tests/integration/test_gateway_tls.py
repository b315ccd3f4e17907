"""The gateway over TLS: whom it trusts, and how long it waits."""

import concurrent.futures
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from config.replies import Kind, Replies, Symptom
from tests.support.gateways import gateway, raw_gateway, submit
from tests.support.raw_server import Handler, RawServer, answer, hang, http, reset

SLACK_SECONDS = 0.3


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_trusted_certificate_is_taken_and_the_plain_key_sent(authority: trustme.CA, bundle: Path) -> None:
    with raw_gateway(answer(http()), tls=_context(authority), ca_bundle=bundle, dynamic_password=False) as (
        server,
        client,
    ):
        assert [submit(client).code, submit(client).code] == [2, 2]
    assert server.connections == 1
    assert server.forms[0].items() >= {"password": "key-of-tests", "content": "0042"}.items()
    assert "time" not in server.forms[0]


def test_the_hosts_name_is_checked_as_well_as_its_address(authority: trustme.CA, bundle: Path) -> None:
    with raw_gateway(
        answer(http()), tls=_context(authority, "localhost"), host="localhost", ca_bundle=bundle
    ) as (_, client):
        assert submit(client).code == 2


def test_an_unknown_authority_is_not_trusted_and_nothing_is_sent(bundle: Path) -> None:
    with raw_gateway(answer(http()), tls=_context(trustme.CA()), ca_bundle=bundle) as (server, client):
        reply = submit(client)
    assert (reply.symptom, server.requests) == (Symptom.TLS_UNTRUSTED, [])
    assert reply.row(Replies()).kind is Kind.PERMANENT


def test_the_usual_authorities_do_not_vouch_for_a_test_certificate(authority: trustme.CA) -> None:
    with raw_gateway(answer(http()), tls=_context(authority)) as (server, client):
        assert (submit(client).symptom, server.requests) == (Symptom.TLS_UNTRUSTED, [])


def test_a_certificate_for_another_host_is_not_trusted(authority: trustme.CA, bundle: Path) -> None:
    with raw_gateway(answer(http()), tls=_context(authority, "other.example"), ca_bundle=bundle) as (
        server,
        client,
    ):
        assert (submit(client).symptom, server.requests) == (Symptom.TLS_UNTRUSTED, [])


def test_tls_older_than_1_2_is_refused(authority: trustme.CA, bundle: Path) -> None:
    context = _context(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with raw_gateway(answer(http()), tls=context, ca_bundle=bundle) as (server, client):
        assert (submit(client).symptom, server.requests) == (Symptom.TLS_FAILED, [])


def _hangs(server: RawServer, _: socket.socket) -> None:
    server.over.wait(10)


def _drips(server: RawServer, sock: socket.socket) -> None:
    server.drip(sock, b"\x16\x03\x03\x40\x00" + b"x" * 500)


def _drips_records(server: RawServer, sock: socket.socket) -> None:
    server.drip(sock, b"\x16\x03\x03\x00\x01\x02" * 100, 0.05)


@pytest.mark.parametrize("handler", [_hangs, _drips, _drips_records])
@pytest.mark.parametrize(("connect", "deadline"), [(0.4, 3.0), (1.0, 0.5)])
def test_a_handshake_that_does_not_end_was_never_sent(
    handler: Handler, connect: float, deadline: float
) -> None:
    """It ends with the connect time-out or with the deadline, whichever comes first."""
    server = RawServer(handler)
    try:
        with gateway(f"https://127.0.0.1:{server.port}/", connect_timeout_seconds=connect) as client:
            reply = submit(client, deadline)
    finally:
        server.close()
    assert reply.symptom is Symptom.TLS_FAILED
    assert reply.elapsed_seconds < min(connect, deadline) + SLACK_SECONDS


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 plain\r\n\r\n"])
def test_a_handshake_that_breaks_was_never_sent(data: bytes) -> None:
    def handler(_: RawServer, sock: socket.socket) -> None:
        sock.recv(10)
        sock.sendall(data)
        reset(sock)

    server = RawServer(handler)
    try:
        with gateway(f"https://127.0.0.1:{server.port}/") as client:
            reply = submit(client)
    finally:
        server.close()
    assert reply.symptom is Symptom.TLS_FAILED
    assert server.connections == 1


def _drips_header(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    server.drip(sock, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 500)


def test_a_header_that_drips_over_tls_keeps_to_the_deadline(authority: trustme.CA, bundle: Path) -> None:
    with raw_gateway(_drips_header, tls=_context(authority), ca_bundle=bundle) as (_, client):
        reply = submit(client, 0.7)
    assert reply.symptom is Symptom.DEADLINE
    assert reply.elapsed_seconds < 0.7 + SLACK_SECONDS


def test_a_reset_over_tls_after_the_form_left_may_have_rung(authority: trustme.CA, bundle: Path) -> None:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        reset(sock)

    with raw_gateway(handler, tls=_context(authority), ca_bundle=bundle) as (_, client):
        assert submit(client).symptom is Symptom.RESET


def test_fifty_connections_load_the_certificates_once(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *args: Any, **options: Any) -> None:
        loads.append(args)
        load(self, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counted)
    close = http(headers="Connection: close\r\n")
    with (
        raw_gateway(answer(close), tls=_context(authority), ca_bundle=bundle) as (server, client),
        concurrent.futures.ThreadPoolExecutor(10) as threads,
    ):
        replies = list(threads.map(lambda _: submit(client), range(50)))
    assert [reply.code for reply in replies] == [2] * 50
    assert (server.connections, len(loads)) == (50, 1)


def _tunnel(to: list[int], status: bytes = b"200 OK") -> Handler:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            return
        with (
            socket.create_connection(("127.0.0.1", to[0])) as far,
            concurrent.futures.ThreadPoolExecutor(1) as thread,
        ):
            thread.submit(_copy, far, sock)
            _copy(sock, far)

    return handler


def _copy(source: socket.socket, sink: socket.socket) -> None:
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def use_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(address: str) -> None:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "other.example")

    return use


@pytest.mark.parametrize("over_tls", [0, 1])
def test_a_proxy_that_tunnels_sees_neither_key_nor_code(
    authority: trustme.CA, bundle: Path, use_proxy: Callable[[str], None], over_tls: int
) -> None:
    to: list[int] = []
    middle = RawServer(_tunnel(to), tls=_context(authority) if over_tls else None)
    use_proxy(f"http{'s' * over_tls}://127.0.0.1:{middle.port}")
    try:
        with raw_gateway(
            answer(http()), tls=_context(authority), ca_bundle=bundle, proxies_from_environment=True
        ) as (
            server,
            client,
        ):
            to.append(server.port)
            assert [submit(client).code, submit(client).code] == [2, 2]
    finally:
        middle.close()
    assert (server.connections, len(server.requests), len(middle.requests)) == (1, 2, 1)
    assert middle.requests[0].startswith(b"CONNECT 127.0.0.1:")


@pytest.mark.parametrize("handler", [_tunnel([], b"407 Who"), _tunnel([], b"502 Gone"), hang, _drips_header])
def test_a_proxy_that_gives_no_tunnel_is_no_reply_of_the_gateway(
    handler: Handler, bundle: Path, use_proxy: Callable[[str], None]
) -> None:
    middle = RawServer(handler)
    use_proxy(f"http://127.0.0.1:{middle.port}")
    try:
        with gateway("https://voice.example/", ca_bundle=bundle, proxies_from_environment=True) as client:
            reply = submit(client, 0.7)
    finally:
        middle.close()
    assert reply.symptom is Symptom.PROXY_FAILED
    assert reply.elapsed_seconds < 0.7 + SLACK_SECONDS
