"""Traced: ledger, gateway and delivery that make spans of what they do."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from config.replies import ACCEPTED
from config.settings import Settings
from worker.delivery import Delivery
from worker.envelope import Ending, Envelope
from worker.gateway.client import Gateway
from worker.ledger import Ledger
from worker.ledger.claim import Answer, Claim
from worker.ledger.finish import Finished, Outcome
from worker.message import VoiceCode
from worker.reply import Reply
from worker.tracing.spans import ERROR_TYPE, Facts, Spans

_REDIS: Final = {"db.system.name": "redis"}
_PORTS: Final = {"http": 80, "https": 443}


class TracedLedger(Ledger):
    """`claim` and `finish`: one round trip to Redis each."""

    def __init__(self, *parts: Any, spans: Spans, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._spans = spans

    def claim(self, code: VoiceCode, **message: Any) -> Claim:
        """Claim a message's code."""
        with self._spans.step("claim", _REDIS) as facts:
            return self._noted(super().claim(code, **message), facts)

    def resume(self, key: str, **hint: Any) -> Claim:
        """Claim a hint's code; its record names the producer's span."""
        with self._spans.step("claim", _REDIS) as facts:
            claim = super().resume(key, **hint)
            if claim.answer is Answer.CALL:
                self._spans.open(claim.trace)
            return self._noted(claim, facts)

    def finish(self, outcome: Outcome) -> Finished:
        """Record how an attempt ended."""
        with self._spans.step("finish", _REDIS) as facts:
            finished = super().finish(outcome)
            facts["voicecode.recorded"] = finished.recorded.value
            return finished

    def _noted(self, claim: Claim, facts: Facts) -> Claim:
        facts["voicecode.answer"] = claim.answer.value
        if claim.answer is Answer.CALL:
            self._spans.note({"voicecode.attempt": claim.attempt, "voicecode.replays": claim.replays})
        return claim


class TracedGateway(Gateway):
    """`POST`: the request. It carries no `traceparent`: the provider has no part in our traces."""

    def __init__(self, settings: Settings, *, spans: Spans) -> None:
        super().__init__(settings)
        self._spans = spans
        self._about = _about(settings.gateway_url)

    def submit(self, code: VoiceCode, *, deadline: float) -> Reply:
        """Ask for one call."""
        with self._spans.step("POST", self._about) as facts:
            reply = super().submit(code, deadline=deadline)
            facts.update(_of_reply(reply))
            return reply


class TracedDelivery(Delivery):
    """`process voice_codes`: a message's whole way."""

    def __init__(self, *, spans: Spans, **parts: Any) -> None:
        super().__init__(**parts)
        self._spans = spans

    def send(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Deliver a producer's message. Without the producer's span, ours is the code's."""
        with self._spans.message() as endings:
            ours = self._spans.open(envelope.trace)
            envelope = dataclasses.replace(envelope, trace=envelope.trace or ours)
            endings.append(super().send(args, kwargs, envelope))
        return endings[0]

    def resume(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Deliver a code after a hint of upkeep."""
        with self._spans.message() as endings:
            endings.append(super().resume(args, kwargs, envelope))
        return endings[0]

    def cancel(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Withdraw a code."""
        with self._spans.message() as endings:
            self._spans.open(envelope.trace)
            endings.append(super().cancel(args, kwargs, envelope))
        return endings[0]


def _about(url: str) -> Facts:
    parts = urlsplit(url)
    return {
        "http.request.method": "POST",
        "server.address": parts.hostname or "",
        "server.port": parts.port or _PORTS[parts.scheme],
        "url.full": f"{url}?method=Submit",
    }


def _of_reply(reply: Reply) -> Facts:
    facts: Facts = {}
    if reply.http_status is not None:
        facts["http.response.status_code"] = reply.http_status
    if reply.code is not None:
        facts["voicecode.reply_code"] = reply.code
    if reply.symptom is not None:
        facts[ERROR_TYPE] = reply.symptom.value
    elif reply.code != ACCEPTED:
        facts[ERROR_TYPE] = str(reply.code)
    return facts
