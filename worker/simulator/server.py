"""The simulator's server: has each request judged, records it, and returns the response."""

import asyncio
import dataclasses
import functools
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
from worker.simulator.listener import Listener
from worker.simulator.rules import Received, Rules, judge, judge_getnum
from worker.simulator.scenarios import ACCEPTED_MESSAGE, find
from worker.simulator.symptoms import REDIRECT_PATH
from worker.simulator.wire import Head, Response, closing, http_reply

GATEWAY_PATH: Final = "/webservice/voice.php"
_FIRST_ID: Final = 16_842_079_209_571_524_017
"""20 digits, as the real ones have: more than a signed 64-bit integer holds."""


def _page(status: int, text: str) -> Response:
    return Response(steps=((0.0, http_reply(status, text.encode(), bodies.HTML)),))


class Simulator:
    """One gateway: its rules, journal, outage, and open connections."""

    def __init__(
        self,
        rules: Rules,
        journal: Journal,
        *,
        context: ssl.SSLContext | None = None,
        latency_seconds: float = 0.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.rules: Final = rules
        self.journal: Final = journal
        self.outage: str | None = None
        """What every request meets; `control.REFUSE` while the port is closed."""
        self.redirects_followed = 0
        self.connections: set[Connection] = set()
        self.connections_opened = 0
        self.listener: Final = Listener(lambda: Connection(self), context)
        self._control: Final = Listener(lambda: Connection(self, control=True), None)
        self._secure: Final = context is not None
        self._latency_seconds: Final = latency_seconds
        self._say: Final = say
        self._outage_end: asyncio.TimerHandle | None = None

    def listen(self, host: str, port: int, control_port: int) -> tuple[int, int]:
        """Listen, and return the gateway's port and the control API's; 0 stands for a free one.

        Raises OSError if a port is taken.
        """
        return self.listener.listen(host, port), self._control.listen(host, control_port)

    def begin_outage(
        self, scenario: str | None, *, seconds: float | None = None, share: float = 1.0, seed: int = 0
    ) -> None:
        """Begin an outage, or end it with None. After `seconds` it ends. Raises ValueError.

        `share`: with `REFUSE`, the share of connections that are refused.
        """
        if scenario not in {None, control.REFUSE}:
            find(str(scenario))
        self.listener.refuse(share if scenario == control.REFUSE else 0.0, seed=seed)
        self.outage = scenario
        if scenario == control.REFUSE and share == 1:
            for connection in tuple(self.connections):
                connection.drop_unless_controlling()
        if self._outage_end is not None:
            self._outage_end.cancel()
            self._outage_end = None
        if scenario is not None and seconds is not None:
            end = functools.partial(self.begin_outage, None)
            self._outage_end = asyncio.get_running_loop().call_later(seconds, end)

    def close(self) -> None:
        """Stop listening and close every connection."""
        self.listener.close()
        self._control.close()
        for connection in tuple(self.connections):
            connection.abort()

    def answer(
        self, head: Head, body: bytes, peer: tuple[str, int], *, only_control: bool = False
    ) -> Response:
        """Return the response to one request. A submission stands in the journal by then.

        `peer`: the client's address and port. `only_control`: only the control API is served.
        """
        if head.path.startswith(control.PREFIX):
            return control.answer(self, head, body)
        if only_control:
            return _page(404, f"only {control.PREFIX} is served on this port")
        if head.path == REDIRECT_PATH:
            self.redirects_followed += 1
            return _page(200, "nobody should have come here")
        if head.path != GATEWAY_PATH or head.method not in {"POST", "GET"}:
            return _page(404, "no such page")
        response = self._later(self._gateway(head, body, peer))
        # Only new connections can be refused, so that none is kept.
        return closing(response) if self.listener.refused_share else response

    def _gateway(self, head: Head, body: bytes, peer: tuple[str, int]) -> Response:
        form = dict(parse_qsl(head.query, keep_blank_values=True))
        form.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        refusing = self.outage == control.REFUSE
        received = Received(
            form=form,
            at=time.time(),
            secure=self._secure,
            address=peer[0],
            outage=None if refusing else self.outage,
        )
        method = form.get("method")
        if method == "Submit":
            return self._submit(received, head.method, peer[1])
        if method == "GetNum":
            return self._getnum(received)
        return _page(404, "no such method")

    def _submit(self, received: Received, method: str, port: int) -> Response:
        form = received.form
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
            account=form.get("account", ""),
            address=received.address,
        )
        self.journal.write(submission)
        if self._say is not None:
            what = "called" if scenario.called else "not called"
            number = mask_mobile(submission.mobile)
            self._say(f"{what} {number} scenario={verdict.scenario} by={verdict.source}")
        code = 2 if scenario.code is None else scenario.code
        answer = Answer(code=code, message=scenario.message or ACCEPTED_MESSAGE, voice_id=voice_id)
        return scenario.respond(answer, form.get("format", "xml"), seconds)

    def _getnum(self, received: Received) -> Response:
        scenario, seconds = find(judge_getnum(received, self.rules, self.journal))
        account = self.journal.accounts.get(received.form.get("account", ""))
        left = 0
        if account is not None and scenario.called:
            left = account.balance if account.getnum_balance is None else account.getnum_balance
        code = 2 if scenario.code is None else scenario.code
        answer = Answer(code=code, message=scenario.message, balance=left)
        return scenario.respond(answer, received.form.get("format", "xml"), seconds)

    def _later(self, response: Response) -> Response:
        if not self._latency_seconds:
            return response
        steps = response.steps or ((0.0, b""),)
        first = (steps[0][0] + self._latency_seconds, steps[0][1])
        return dataclasses.replace(response, steps=(first, *steps[1:]))
