"""The gateway's client against a server whose every byte the test decides."""

import concurrent.futures
import gzip
import os
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from config.replies import Symptom
from config.settings import SettingsError, load
from tests.support.gateways import CODE, gateway, raw_gateway, settings_for, submit
from tests.support.raw_server import ACCEPTED, RawServer, answer, http, in_child, reset
from worker.gateway.body import CAP_BYTES
from worker.gateway.client import Gateway
from worker.gateway.connection import KEEP_ALIVE_MARGIN_SECONDS
from worker.reply import Reply


def test_a_submission_is_one_post_of_the_form() -> None:
    with raw_gateway(answer(http())) as (server, client):
        reply = submit(client)
    assert (reply.code, reply.voice_id, reply.http_status, reply.symptom) == (
        2,
        "16842079209571524017",
        200,
        None,
    )
    assert reply.elapsed_seconds > 0
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /webservice/voice.php?method=Submit HTTP/1.1"
    assert "Accept-Encoding: identity" in head
    assert "Content-Type: application/x-www-form-urlencoded" in head
    assert any(line.startswith("User-Agent: voicecode") for line in head)
    (form,) = server.forms
    assert (form["account"], form["mobile"], form["content"], form["format"]) == (
        "api-id",
        CODE.mobile,
        CODE.code,
        "json",
    )
    assert abs(int(form["time"]) - time.time()) < 5
    assert "key-of-tests" not in server.requests[0].decode()


def test_a_balance_query_calls_nobody() -> None:
    with raw_gateway(answer(http(b'{"code":2,"num":"0"}'))) as (server, client):
        reply = client.balance()
    assert (reply.code, reply.balance) == (2, 0)
    assert b"?method=GetNum " in server.requests[0]
    assert server.forms[0].keys() == {"account", "password", "time", "format"}


def test_the_reply_to_a_balance_query_is_no_acceptance_of_a_call() -> None:
    with raw_gateway(answer(http(b'{"GetNumResult":{"code":2,"num":5}}'))) as (_, client):
        assert submit(client).symptom is Symptom.UNREADABLE


def test_a_connection_is_used_again() -> None:
    with raw_gateway(answer(http())) as (server, client):
        assert [submit(client).code for _ in range(5)] == [2] * 5
    assert (server.connections, len(server.requests)) == (1, 5)


def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    with raw_gateway(answer(http()), connection_idle_seconds=0.05) as (server, client):
        submit(client)
        time.sleep(0.1)
        assert submit(client).code == 2
    assert server.connections == 2


@pytest.mark.parametrize(
    ("header", "connections"),
    [
        ("timeout=5", 2),
        ("max=100, timeout=5", 2),
        ('TIMEOUT="5"', 2),
        ("timeout=60, max=100", 1),
        ("max=5", 1),
        ("timeout=soon", 1),
    ],
)
def test_a_connection_that_the_gateway_is_about_to_close_is_not_used_again(
    header: str, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form and the close would cross: nobody could know whether the phone rang."""
    with raw_gateway(answer(http(headers=f"Keep-Alive: {header}\r\n"))) as (server, client):
        submit(client)
        later = time.monotonic() + 5 - KEEP_ALIVE_MARGIN_SECONDS
        with monkeypatch.context() as patch:
            patch.setattr("worker.gateway.connection.time.monotonic", lambda: later)
            reply = client.submit(CODE, deadline=later + 3)
    assert (reply.code, server.connections) == (2, connections)


def test_a_form_does_not_cross_with_the_close_that_was_announced() -> None:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(http(headers="Keep-Alive: timeout=1\r\n"))
        if server.receive(sock) is not None:
            reset(sock)

    with raw_gateway(handler) as (server, client):
        assert [submit(client).symptom for _ in range(3)] == [None] * 3
    assert server.connections == 3


def packed(body: bytes, kind: int) -> bytes:
    stream = zlib.compressobj(wbits=kind)
    return stream.compress(body) + stream.flush()


GZIP, ZLIB, RAW = 31, 15, -15


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (packed(ACCEPTED, GZIP), "gzip"),
        (packed(ACCEPTED, GZIP), "x-gzip"),
        (packed(ACCEPTED, GZIP), ""),
        (packed(ACCEPTED, ZLIB), "deflate"),
        (packed(ACCEPTED, RAW), "Deflate"),
        (ACCEPTED, "gzip"),
        (ACCEPTED, "deflate"),
        (ACCEPTED, "identity"),
        (ACCEPTED, "br"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_reply_that_is_compressed_unasked_is_read(body: bytes, encoding: str) -> None:
    """Taken for an unreadable one it would be ambiguous, and the phone would ring twice."""
    headers = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    with raw_gateway(answer(http(body, headers=headers))) as (server, client):
        assert [submit(client).code, client.balance().code] == [2, 2]
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", [GZIP, ZLIB, RAW])
def test_a_compressed_reply_may_unpack_to_the_cap_and_not_more(kind: int) -> None:
    full = ACCEPTED + b" " * (CAP_BYTES - len(ACCEPTED))
    replies = [
        http(packed(body, kind), headers="Content-Encoding: deflate\r\n") for body in (full, full + b" ")
    ]
    with raw_gateway(answer(*replies)) as (_, client):
        fits, too_large = submit(client), submit(client)
    assert (fits.code, too_large.symptom) == (2, Symptom.TOO_LARGE)


def test_a_bomb_is_not_unpacked() -> None:
    """Of 60 KB that unpack to 60 MB, no more than the cap is ever in memory."""
    bomb = gzip.compress(ACCEPTED + b" " * 60_000_000)
    assert len(bomb) < CAP_BYTES
    with raw_gateway(answer(http(bomb, headers="Content-Encoding: gzip\r\n"))) as (_, client):
        tracemalloc.start()
        try:
            assert submit(client).symptom is Symptom.TOO_LARGE
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "symptom"),
    [
        (packed(ACCEPTED, GZIP)[:-9], Symptom.TRUNCATED),
        (packed(ACCEPTED, GZIP)[:10] + b"\xff" * 20, Symptom.UNREADABLE),
        (packed(packed(ACCEPTED, GZIP), GZIP), Symptom.UNREADABLE),
        (packed(b"<html>busy</html>", GZIP), Symptom.UNREADABLE),
    ],
    ids=["cut off", "broken", "packed twice", "a web page"],
)
def test_what_cannot_be_unpacked_may_have_rung(body: bytes, symptom: Symptom) -> None:
    with raw_gateway(answer(http(body, headers="Content-Encoding: gzip\r\n"))) as (_, client):
        assert submit(client).symptom is symptom


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    """One submission a connection, closed without a word: each must arrive, and only once."""

    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(http())

    with raw_gateway(handler) as (server, client):
        for _ in range(3):
            assert submit(client).code == 2
            time.sleep(0.05)
    assert (server.connections, len(server.requests)) == (3, 3)


def test_fifty_threads_share_the_pool() -> None:
    together = threading.Barrier(50)

    def handler(server: RawServer, sock: socket.socket) -> None:
        while server.receive(sock) is not None:
            together.wait(10)
            sock.sendall(http())

    with raw_gateway(handler) as (server, client), concurrent.futures.ThreadPoolExecutor(50) as threads:
        for _ in range(2):
            replies = list(threads.map(lambda _: submit(client), range(50)))
            assert [reply.code for reply in replies] == [2] * 50
    assert (server.connections, len(server.requests)) == (50, 100)


def test_cookies_are_not_sent_back() -> None:
    with raw_gateway(answer(http(headers="Set-Cookie: a=b; Path=/\r\n"))) as (server, client):
        submit(client)
        submit(client)
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirect_is_not_followed(status: str) -> None:
    """It would repeat the key and the code elsewhere."""
    elsewhere = RawServer(answer(http()))
    try:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/\r\n"
        with raw_gateway(answer(http(b"", status=status, headers=location))) as (server, client):
            reply = submit(client)
        assert reply.symptom is Symptom.HTTP_3XX
        assert (len(server.requests), elsewhere.connections) == (1, 0)
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    ("status", "symptom"),
    [
        (400, Symptom.HTTP_4XX),
        (404, Symptom.HTTP_4XX),
        (408, Symptom.HTTP_IDLE),
        (425, Symptom.HTTP_IDLE),
        (429, Symptom.HTTP_429),
        (500, Symptom.HTTP_5XX),
        (502, Symptom.HTTP_5XX),
        (503, Symptom.HTTP_503),
        (999, Symptom.HTTP_5XX),
    ],
)
def test_an_http_status_is_no_reply_code(status: int, symptom: Symptom) -> None:
    with raw_gateway(answer(http(b'{"code":405,"msg":"x"}', status=f"{status} X"))) as (server, client):
        reply = submit(client)
    assert (reply.symptom, reply.code, reply.http_status) == (symptom, None, status)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["404 Not Found", "500 X", "503 X"])
def test_an_acceptance_is_true_whatever_the_status(status: str) -> None:
    with raw_gateway(answer(http(status=status))) as (_, client):
        reply = submit(client)
    assert (reply.code, reply.symptom, reply.http_status) == (2, None, int(status[:3]))


def test_a_refusal_keeps_its_status_though_its_body_is_cut_off() -> None:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(http(b"gone", status="503 X", length=400))

    with raw_gateway(handler) as (_, client):
        assert submit(client).symptom is Symptom.HTTP_503


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(503, "7", 7.0), (429, "7", 7.0), (429, "-7", None), (500, "7", None), (200, "7", None)],
)
def test_retry_after_counts_where_the_server_was_too_busy(
    status: int, header: str, seconds: float | None
) -> None:
    with raw_gateway(answer(http(b"{}", status=f"{status} X", headers=f"Retry-After: {header}\r\n"))) as (
        server,
        client,
    ):
        reply = submit(client)
    assert reply.retry_after_seconds == seconds
    assert len(server.requests) == 1


def test_a_chunked_reply_is_read() -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ACCEPTED), ACCEPTED)
    with raw_gateway(answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)) as (
        server,
        client,
    ):
        assert [submit(client).code, submit(client).code] == [2, 2]
    assert server.connections == 1


def test_a_reply_without_a_length_ends_with_the_connection() -> None:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + ACCEPTED)

    with raw_gateway(handler) as (_, client):
        assert submit(client).code == 2


@pytest.mark.parametrize("extra", [0, 1])
def test_a_body_may_fill_the_cap_and_not_more(extra: int) -> None:
    body = ACCEPTED + b" " * (CAP_BYTES - len(ACCEPTED) + extra)
    with raw_gateway(answer(http(body))) as (_, client):
        reply = submit(client)
    assert (reply.code, reply.symptom) == ((None, Symptom.TOO_LARGE) if extra else (2, None))


def test_reading_stops_at_the_cap() -> None:
    """One byte more than the cap is sent; reading on would wait in vain."""

    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(http(b" " * (CAP_BYTES + 1), length=1_000_000))
        server.over.wait(10)

    with raw_gateway(handler) as (server, client):
        assert [submit(client, 1).symptom, submit(client, 1).symptom] == [Symptom.TOO_LARGE] * 2
    assert server.connections == 2


def test_neither_number_nor_code_nor_key_comes_back_in_the_message() -> None:
    body = b'{"code":406,"msg":"13800138000 0042 key-of-tests bad"}'
    with raw_gateway(answer(http(body))) as (_, client):
        assert submit(client).message == "138****8000 **** **** bad"


def test_a_missing_key_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="VOICECODE_APIKEY"):
        Gateway(load(account="api-id", _env_file=None))


def test_a_bug_before_and_after_sending_are_different_things(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Reply:
        raise KeyError(CODE.code)

    with raw_gateway(answer(http())) as (server, client):
        with monkeypatch.context() as patch:
            patch.setattr("worker.gateway.client.parse", broken)
            assert (submit(client).symptom, len(server.requests)) == (Symptom.CRASH_AFTER_SEND, 1)
        with monkeypatch.context() as patch:
            patch.setattr("worker.gateway.form.quote_plus", broken)
            reply = submit(client)
        assert (reply.symptom, reply.detail, len(server.requests)) == (
            Symptom.CRASH_BEFORE_SEND,
            "KeyError",
            1,
        )
        assert submit(client).code == 2


def test_the_end_of_the_process_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object, **__: object) -> Reply:
        raise SystemExit(3)

    monkeypatch.setattr("worker.gateway.client.parse", leave)
    with raw_gateway(answer(http())) as (_, client), pytest.raises(SystemExit):
        submit(client)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_opens_connections_of_its_own() -> None:
    with raw_gateway(answer(http())) as (server, client):
        submit(client)
        child = in_child(lambda: submit(client).code == 2)
        assert os.waitpid(child, 0)[1] == 0
        assert submit(client).code == 2
    assert server.connections == 2


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> "Callable[[RawServer], None]":
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def use(server: RawServer) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://who:what@127.0.0.1:{server.port}")
        monkeypatch.setenv("http_proxy", f"http://who:what@127.0.0.1:{server.port}")

    return use


def test_the_environments_proxy_is_left_alone(proxy: Callable[[RawServer], None]) -> None:
    middle = RawServer(answer(http()))
    try:
        proxy(middle)
        with raw_gateway(answer(http())) as (server, client):
            assert submit(client).code == 2
        assert (len(server.requests), middle.connections) == (1, 0)
    finally:
        middle.close()


def test_the_environments_proxy_is_used_by_setting(proxy: Callable[[RawServer], None]) -> None:
    middle = RawServer(answer(http()))
    try:
        proxy(middle)
        with gateway("http://voice.example/voice.php", proxies_from_environment=True) as client:
            assert submit(client).code == 2
        assert middle.requests[0].startswith(
            b"POST http://voice.example/voice.php?method=Submit HTTP/1.1\r\n"
        )
        assert b"Proxy-Authorization: Basic " in middle.requests[0]
    finally:
        middle.close()


def test_a_proxy_that_is_down_is_told_from_a_gateway_that_is_down(proxy: Callable[[RawServer], None]) -> None:
    middle = RawServer(answer(http()))
    middle.close()
    proxy(middle)
    with gateway("http://voice.example/voice.php", proxies_from_environment=True) as client:
        assert submit(client).symptom is Symptom.PROXY_FAILED


def test_a_socks_proxy_is_refused_at_start(
    proxy: Callable[[RawServer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    del proxy
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(SettingsError, match="SOCKS"):
        Gateway(settings_for("http://voice.example/voice.php", proxies_from_environment=True))


def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_gateway(answer(http())) as (server, client):
        submit(client)
    assert b"authorization" not in server.requests[0].lower()


def test_an_address_that_cannot_be_used_is_told_at_start() -> None:
    with pytest.raises(SettingsError, match="VOICECODE_GATEWAY_URL"):
        Gateway(settings_for("https://*.example/"))


def test_a_file_without_certificates_is_told_at_start() -> None:
    with pytest.raises(SettingsError, match="VOICECODE_CA_BUNDLE"):
        Gateway(settings_for("https://voice.example/", ca_bundle=Path(__file__)))
