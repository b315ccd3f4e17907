"""The simulator's HTTP server: reads requests, has them judged, and performs what was chosen, byte by byte."""

import asyncio
import dataclasses
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from config.masking import mask_mobile
from worker.simulator import bodies, control
from worker.simulator.bodies import Answer
from worker.simulator.book import Book, Submission
from worker.simulator.plays import ACCEPTED_MESSAGE, find
from worker.simulator.rules import Rules, judge, judge_balance
from worker.simulator.symptoms import REDIRECT_PATH
from worker.simulator.wire import BadRequest, Ending, Head, Performance, read_head, response

GATEWAY_PATH: Final = "/webservice/voice.php"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_RESET_BEFORE_READING: Final = "reset_before_reading"
_FIRST_ID: Final = 16_842_079_209_571_524_017


def _page(status: int, text: str) -> Performance:
    return Performance(steps=((0.0, response(status, text.encode(), bodies.HTML)),))


class Simulator:
    """One gateway: rules, book, outage, and the connections that are open."""

    def __init__(self, rules: Rules, book: Book, *, latency_seconds: float = 0.0, tell: Callable[[str], None] | None = None) -> None:
        self.rules: Final = rules
        self.book: Final = book
        self.outage: str | None = None
        self.redirects_followed = 0
        self.connections: set[Connection] = set()
        self.connections_opened = 0
        self._latency_seconds = latency_seconds
        self._tell = tell
        self._ssl: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._refusing: asyncio.TimerHandle | None = None
        self._address: tuple[str, int] = ("", 0)

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port (a free one for 0). Raises OSError where it is taken."""
        self._ssl = context
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, ssl=context, backlog=1024)
        self._address = host, int(self._server.sockets[0].getsockname()[1])
        return self._address[1]

    def refuse(self, seconds: float) -> None:
        """Stop listening for a while, and drop every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.drop_unless_controlling()
        loop = asyncio.get_running_loop()
        self._refusing = loop.call_later(seconds, lambda: loop.create_task(self.listen(*self._address, self._ssl)))

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._refusing is not None:
            self._refusing.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.abort()

    def answer(self, head: Head, body: bytes, port: int) -> Performance:
        """Return what happens to one request; a submission is in the book by then."""
        if head.path.startswith(control.PREFIX):
            return control.answer(self, head, body)
        if head.path == REDIRECT_PATH:
            self.redirects_followed += 1
            return _page(200, "nobody should have come here")
        if head.path != GATEWAY_PATH:
            return _page(404, "no such page")
        if head.method not in {"POST", "GET"}:
            return _page(405, "POST or GET")
        form = dict(parse_qsl(head.query, keep_blank_values=True))
        form.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        method = form.get("method")
        if method == "Submit":
            return self._later(self._submit(form, head.method, port))
        if method == "GetNum":
            return self._later(self._balance(form))
        return _page(404, "no such method")

    def _submit(self, form: dict[str, str], method: str, port: int) -> Performance:
        now = time.time()
        verdict = judge(form, self.rules, self.book, now=now, secure=self._ssl is not None, outage=self.outage)
        play, seconds = find(verdict.play)
        voice_id = str(_FIRST_ID + self.book.calls) if play.called else "0"
        submission = Submission(
            at=now,
            mobile=form.get("mobile", ""),
            code=form.get("content", ""),
            play=verdict.play,
            source=verdict.source,
            reply=play.code,
            called=play.called,
            voice_id=voice_id,
            signature=verdict.signature,
            method=method,
            port=port,
        )
        self.book.write(submission)
        if self._tell is not None:
            what = "called" if play.called else "not called"
            self._tell(f"{what} {mask_mobile(submission.mobile)} play={verdict.play} by={verdict.source}")
        code = 2 if play.code is None else play.code
        answer = Answer(code=code, message=play.message or ACCEPTED_MESSAGE, voice_id=voice_id)
        return play.perform(answer, form.get("format", "xml"), seconds)

    def _balance(self, form: dict[str, str]) -> Performance:
        name = judge_balance(form, self.rules, self.book, now=time.time(), secure=self._ssl is not None, outage=self.outage)
        play, seconds = find(name)
        code = 2 if play.code is None else play.code
        answer = Answer(code=code, message=play.message, balance=self.book.balance if play.called else 0)
        return play.perform(answer, form.get("format", "xml"), seconds)

    def _later(self, performance: Performance) -> Performance:
        if not self._latency_seconds:
            return performance
        steps = performance.steps or ((0.0, b""),)
        first = (steps[0][0] + self._latency_seconds, steps[0][1])
        return dataclasses.replace(performance, steps=(first, *steps[1:]))


class Connection(asyncio.Protocol):
    """One connection: one request after the other, and no reply before the last one has ended."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._buffer = bytearray()
        self._head: Head | None = None
        self._busy = False
        self._controlling = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        self._transport = transport
        self._port = int(transport.get_extra_info("peername")[1])
        self._simulator.connections.add(self)
        self._simulator.connections_opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and whatever was still to be sent."""
        del exc
        self._simulator.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and begin a reply when a request is complete."""
        self._buffer += data
        if not self._busy:
            self._next()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def drop_unless_controlling(self) -> None:
        """Reset the connection, save one that carried a control request."""
        if not self._controlling:
            self._end(Ending.RESET)

    def _next(self) -> None:
        if self._head is None:
            try:
                self._head = read_head(self._buffer)
            except BadRequest:
                self._transport.write(response(400, b"", bodies.HTML, "Connection: close"))
                self._transport.close()
                return
            if self._head is None:
                return
            self._controlling = self._head.path.startswith(control.PREFIX)
            if self._simulator.outage == _RESET_BEFORE_READING and not self._controlling:
                self._end(Ending.RESET)
                return
        if len(self._buffer) < self._head.length:
            return
        head, self._head = self._head, None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        self._busy = True
        performance = self._simulator.answer(head, body, self._port)
        ending = performance.ending if head.keep_alive or performance.ending is Ending.RESET else Ending.CLOSE
        self._perform(performance, ending, 0)

    def _perform(self, performance: Performance, ending: Ending, step: int, *, waited: bool = False) -> None:
        while step < len(performance.steps):
            pause, data = performance.steps[step]
            if pause and not waited:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(pause, lambda: self._perform(performance, ending, step, waited=True))
                return
            self._transport.write(data)
            step, waited = step + 1, False
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.RESET:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
        elif ending is Ending.CLOSE:
            self._transport.close()
        else:
            self._busy = False
            if self._buffer:
                self._next()
