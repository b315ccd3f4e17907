"""The simulator's server: listens, has each request judged, writes it into the journal, and says what is to happen."""

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from config.masking import mask_mobile
from worker.simulator import bodies, control
from worker.simulator.bodies import Answer
from worker.simulator.connection import Connection
from worker.simulator.journal import Journal, Submission
from worker.simulator.rules import Received, Rules, judge, judge_balance
from worker.simulator.scenarios import ACCEPTED_MESSAGE, find
from worker.simulator.symptoms import REDIRECT_PATH
from worker.simulator.wire import Head, Response, http_reply

GATEWAY_PATH: Final = "/webservice/voice.php"
_LISTEN_AGAIN_SECONDS: Final = 0.1
_FIRST_ID: Final = 16_842_079_209_571_524_017
"""20 digits, as the real ones: more than a signed 64-bit integer holds."""


def _page(status: int, text: str) -> Response:
    return Response(steps=((0.0, http_reply(status, text.encode(), bodies.HTML)),))


class Simulator:
    """One gateway: rules, journal, outage, and the connections that are open."""

    def __init__(
        self,
        rules: Rules,
        journal: Journal,
        *,
        latency_seconds: float = 0.0,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.rules: Final = rules
        self.journal: Final = journal
        self.outage: str | None = None
        self.redirects_followed = 0
        self.connections: set[Connection] = set()
        self.connections_opened = 0
        self._latency_seconds = latency_seconds
        self._tell = tell
        self._ssl: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._refusing: asyncio.Task[None] | None = None
        self._address: tuple[str, int] = ("", 0)

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port (a free one for 0). Raises OSError where it is taken."""
        self._ssl = context
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, ssl=context, backlog=1024
        )
        self._address = host, int(self._server.sockets[0].getsockname()[1])
        return self._address[1]

    def refuse(self, seconds: float) -> None:
        """Stop listening for a while, and drop every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.drop_unless_controlling()
        if self._refusing is not None:
            self._refusing.cancel()
        self._refusing = asyncio.get_running_loop().create_task(self._listen_again(seconds))

    async def _listen_again(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                await self.listen(*self._address, self._ssl)
            except OSError:
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS)
            else:
                return

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._refusing is not None:
            self._refusing.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.abort()

    def answer(self, head: Head, body: bytes, port: int) -> Response:
        """Return what happens to one request; a submission is in the journal by then."""
        if head.path.startswith(control.PREFIX):
            return control.answer(self, head, body)
        if head.path == REDIRECT_PATH:
            self.redirects_followed += 1
            return _page(200, "nobody should have come here")
        if head.path != GATEWAY_PATH or head.method not in {"POST", "GET"}:
            return _page(404, "no such page")
        return self._later(self._gateway(head, body, port))

    def _gateway(self, head: Head, body: bytes, port: int) -> Response:
        form = dict(parse_qsl(head.query, keep_blank_values=True))
        form.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        method = form.get("method")
        if method == "Submit":
            return self._submit(form, head.method, port)
        if method == "GetNum":
            return self._balance(form)
        return _page(404, "no such method")

    def _submit(self, form: dict[str, str], method: str, port: int) -> Response:
        received = self._received(form)
        verdict = judge(received, self.rules, self.journal)
        scenario, seconds = find(verdict.scenario)
        voice_id = str(_FIRST_ID + self.journal.calls) if scenario.called else "0"
        submission = Submission(
            at=received.at,
            mobile=form.get("mobile", ""),
            code=form.get("content", ""),
            scenario=verdict.scenario,
            source=verdict.source,
            reply=scenario.code,
            called=scenario.called,
            voice_id=voice_id,
            signature=verdict.signature,
            method=method,
            port=port,
        )
        self.journal.write(submission)
        if self._tell is not None:
            what = "called" if scenario.called else "not called"
            self._tell(
                f"{what} {mask_mobile(submission.mobile)} scenario={verdict.scenario} by={verdict.source}"
            )
        code = 2 if scenario.code is None else scenario.code
        answer = Answer(code=code, message=scenario.message or ACCEPTED_MESSAGE, voice_id=voice_id)
        return scenario.respond(answer, form.get("format", "xml"), seconds)

    def _balance(self, form: dict[str, str]) -> Response:
        scenario, seconds = find(judge_balance(self._received(form), self.rules, self.journal))
        code = 2 if scenario.code is None else scenario.code
        answer = Answer(
            code=code, message=scenario.message, balance=self.journal.balance if scenario.called else 0
        )
        return scenario.respond(answer, form.get("format", "xml"), seconds)

    def _received(self, form: dict[str, str]) -> Received:
        return Received(form=form, at=time.time(), secure=self._ssl is not None, outage=self.outage)

    def _later(self, response: Response) -> Response:
        if not self._latency_seconds:
            return response
        steps = response.steps or ((0.0, b""),)
        first = (steps[0][0] + self._latency_seconds, steps[0][1])
        return dataclasses.replace(response, steps=(first, *steps[1:]))
