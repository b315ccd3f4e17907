"""What the network does instead of replying: never sent or may have rung, within the deadline."""

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from config.replies import Kind, Replies, Symptom
from tests.support.gateways import gateway, raw_gateway, submit
from tests.support.raw_server import ACCEPTED, Handler, RawServer, answer, hang, in_child, reset
from tests.support.raw_server import http as reply_of
from worker.reply import Reply

SLACK_SECONDS = 0.3


def _silent_after(data: bytes) -> Handler:
    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(data)

    return handler


def _reset_before_reading(_: RawServer, sock: socket.socket) -> None:
    sock.recv(1, socket.MSG_PEEK)  # a reset that comes sooner is a refused connection
    reset(sock)


def _reset_after_reading(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    reset(sock)


def _reset_in_the_body(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    sock.sendall(reply_of(ACCEPTED, length=500))
    time.sleep(0.05)
    reset(sock)


@pytest.mark.parametrize(
    ("handler", "symptom"),
    [
        (_reset_before_reading, Symptom.RESET),
        (_reset_after_reading, Symptom.RESET),
        (_reset_in_the_body, Symptom.RESET),
        (_silent_after(b""), Symptom.RESET),
        (_silent_after(b"HTTP/1.1 200"), Symptom.UNREADABLE),
        (_silent_after(b"SSH-2.0-OpenSSH\r\n\r\n"), Symptom.UNREADABLE),
        (_silent_after(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000), Symptom.UNREADABLE),
        (_silent_after(b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 200 + b"\r\n"), Symptom.UNREADABLE),
        (
            _silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{"),
            Symptom.UNREADABLE,
        ),
        (_silent_after(reply_of(ACCEPTED[:-9], length=len(ACCEPTED))), Symptom.TRUNCATED),
        (_silent_after(reply_of(b"", length=10)), Symptom.TRUNCATED),
        (_silent_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"), Symptom.TRUNCATED),
        (_silent_after(reply_of(b"<html>busy</html>")), Symptom.UNREADABLE),
    ],
)
def test_what_breaks_after_the_form_left_may_have_rung(handler: Handler, symptom: Symptom) -> None:
    with raw_gateway(handler) as (server, client):
        reply = submit(client)
    assert reply.symptom is symptom
    assert reply.row(Replies()).kind is Kind.AMBIGUOUS
    assert server.connections == 1


def test_a_connection_that_breaks_when_used_again_may_have_rung() -> None:
    """Nobody below us tries a second time."""

    def handler(server: RawServer, sock: socket.socket) -> None:
        server.receive(sock)
        sock.sendall(reply_of())
        server.receive(sock)
        reset(sock)

    with raw_gateway(handler) as (server, client):
        assert submit(client).code == 2
        assert submit(client).symptom is Symptom.RESET
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_refused_connection_was_never_sent() -> None:
    server = RawServer(answer(reply_of()))
    server.close()
    with gateway(f"http://127.0.0.1:{server.port}/") as client:
        reply = submit(client)
    assert (reply.symptom, reply.detail) == (Symptom.CONNECT_REFUSED, "ECONNREFUSED")


def test_a_connection_that_nobody_takes_up_ends_with_the_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        with gateway(f"http://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_seconds=0.3) as client:
            reply = submit(client)
        for filler in fillers:
            filler.close()
    assert reply.symptom is Symptom.CONNECT_TIMEOUT
    assert 0.3 <= reply.elapsed_seconds < 0.3 + SLACK_SECONDS


def test_silence_ends_with_the_read_timeout() -> None:
    with raw_gateway(hang, read_timeout_seconds=0.3) as (_, client):
        reply = submit(client)
    assert reply.symptom is Symptom.READ_TIMEOUT
    assert 0.3 <= reply.elapsed_seconds < 0.3 + SLACK_SECONDS


def _drips_header(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    server.drip(sock, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 500)


def _drips_body(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    server.drip(sock, b" " * 500)


def _drips_chunks(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.drip(sock, b"1\r\n \r\n" * 100)


def _continues_for_ever(server: RawServer, sock: socket.socket) -> None:
    server.receive(sock)
    while not server.over.is_set():
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        server.over.wait(0.01)


@pytest.mark.parametrize("handler", [hang, _drips_header, _drips_body, _drips_chunks, _continues_for_ever])
def test_the_whole_attempt_keeps_to_its_deadline(handler: Handler) -> None:
    with raw_gateway(handler) as (server, client):
        reply = submit(client, 0.7)
    assert reply.symptom is Symptom.DEADLINE
    assert 0.6 < reply.elapsed_seconds < 0.7 + SLACK_SECONDS
    assert len(server.requests) == 1


def test_a_form_that_nobody_reads_keeps_to_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A big form fills the buffers, and sending blocks.

    It is made beforehand: making it takes time, too.
    """

    def handler(server: RawServer, _: socket.socket) -> None:
        server.over.wait(10)

    form = b"x" * 25_000_000
    monkeypatch.setattr("worker.gateway.form.Forms.submit", lambda *_, **__: form)
    with raw_gateway(handler) as (_, client):
        reply = submit(client, 0.7)
    assert reply.symptom is Symptom.DEADLINE
    assert reply.elapsed_seconds < 0.7 + SLACK_SECONDS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_form_that_is_made_too_late_is_no_failure_of_the_network(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine lost time before the first lookup: no name failed."""
    late = threading.Event()

    def slow(*_: Any, **__: Any) -> bytes:
        late.wait(0.2)
        return b""

    monkeypatch.setattr("worker.gateway.form.Forms.submit", slow)
    with raw_gateway(answer(reply_of()), host=host) as (server, client):
        assert submit(client, 0.1).symptom is Symptom.NOT_SENT
    assert server.connections == 0


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> "dict[str, Callable[..., Any]]":
    """Hosts whose lookup a function answers."""
    lookups: dict[str, Callable[..., Any]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        if host in lookups and not options.get("flags"):
            return lookups[host](host, *args, **options)
        return real(host, *args, **options)

    monkeypatch.setattr("worker.gateway.resolver.socket.getaddrinfo", getaddrinfo)
    return lookups


def test_a_lookup_that_hangs_ends_with_the_deadline_and_is_asked_once(
    lookups: dict[str, Callable[..., Any]],
) -> None:
    asked: list[str] = []
    release = threading.Event()

    def hanging(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        release.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    lookups["voice.example"] = hanging
    with gateway("http://voice.example/") as client:
        replies: list[Reply] = []
        threads = [threading.Thread(target=lambda: replies.append(submit(client, 0.5))) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        release.set()
    assert [reply.symptom for reply in replies] == [Symptom.DNS_FAILED] * 10
    assert max(reply.elapsed_seconds for reply in replies) < 0.5 + SLACK_SECONDS
    assert asked == ["voice.example"]


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label"), OSError("no")]
)
def test_a_lookup_that_fails_was_never_sent_and_is_asked_again(
    lookups: dict[str, Callable[..., Any]], error: Exception
) -> None:
    asked: list[str] = []

    def failing(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        raise error

    lookups["voice.example"] = failing
    with gateway("http://voice.example/") as client:
        assert [submit(client).symptom, submit(client).symptom] == [Symptom.DNS_FAILED] * 2
    assert len(asked) == 2


def test_a_name_is_looked_up_again_for_a_new_connection(lookups: dict[str, Callable[..., Any]]) -> None:
    """The gateway may move while a worker lives."""
    asked: list[str] = []

    def found(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

    with raw_gateway(answer(reply_of(headers="Connection: close\r\n")), host="voice.example") as (
        server,
        client,
    ):
        lookups["voice.example"] = found
        assert [submit(client).code, submit(client).code] == [2, 2]
    assert len(asked) == 2


def test_the_next_address_is_tried_where_one_refuses(lookups: dict[str, Callable[..., Any]]) -> None:
    with raw_gateway(answer(reply_of()), host="voice.example") as (server, client):
        addresses = [("127.0.0.9", server.port), ("127.0.0.1", server.port)]
        lookups["voice.example"] = lambda *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in addresses
        ]
        assert submit(client).code == 2


def test_nothing_is_sent_when_the_deadline_has_passed() -> None:
    with raw_gateway(answer(reply_of())) as (server, client):
        assert submit(client, -1).symptom is Symptom.NOT_SENT
        assert server.connections == 0


@pytest.mark.parametrize("used_before", [0, 1])
def test_the_deadline_is_looked_at_once_more_before_the_form_leaves(
    monkeypatch: pytest.MonkeyPatch, used_before: int
) -> None:
    """Time passes unnoticed while the request is formed, as in a frozen worker."""
    formed = http.client.HTTPConnection.endheaders

    def slow(self: http.client.HTTPConnection, *args: Any, **options: Any) -> None:
        time.sleep(0.4)
        formed(self, *args, **options)

    with raw_gateway(answer(reply_of())) as (server, client):
        if used_before:
            submit(client)
        monkeypatch.setattr(http.client.HTTPConnection, "endheaders", slow)
        reply = submit(client, 0.2)
        time.sleep(0.05)
        assert reply.symptom is Symptom.NOT_SENT
        assert reply.row(Replies()).kind is Kind.TRANSIENT
        assert len(server.requests) == used_before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_worker_frozen_between_lookup_and_form_does_not_send_when_it_wakes(
    lookups: dict[str, Callable[..., Any]],
) -> None:
    """The real thing: a process stopped by SIGSTOP past its deadline, then continued."""
    reader, writer = os.pipe()

    def tell(*_: Any, **__: Any) -> Any:
        os.write(writer, b"x")
        time.sleep(0.1)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

    with raw_gateway(answer(reply_of()), host="voice.example") as (server, client):
        lookups["voice.example"] = tell
        child = in_child(lambda: submit(client, 0.5).row(Replies()).kind is Kind.TRANSIENT)
        os.read(reader, 1)
        os.kill(child, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(child, signal.SIGCONT)
        status = os.waitpid(child, 0)[1]
        os.close(reader)
        os.close(writer)
        assert (status, server.requests) == (0, [])
