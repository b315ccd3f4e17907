"""Delivery: what happens to one message, in six steps. It knows nothing of Celery.

1. parse      the arguments become a VoiceCode, or the message becomes a dead letter `bad_input`
2. claim      the ledger says whether to call now
3. submit     one request to the gateway
4. rule       the table of replies has a row for the reply
5. decide     the policy says: done, try again, or give up
6. record     the ledger records the outcome, however long Redis is away

The caller acks the message when `send` or `resume` returns. It does neither ack nor reject it when
they raise Unfinished.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from config.names import Event
from config.replies import ACCEPTED, Replies, Row, Symptom
from config.settings import Settings
from worker import report
from worker.envelope import SKIPPED, Ending, Envelope
from worker.ledger import Ledger
from worker.ledger.cancel import Cancelled
from worker.ledger.claim import Answer, Claim
from worker.ledger.finish import Outcome, Recorded
from worker.ledger.outcome_writer import OutcomeWriter
from worker.ledger.refuse import Refusal
from worker.message import (
    RAW_CAP_BYTES,
    BadInput,
    Refused,
    VoiceCode,
    has_key_form,
    parse,
    refuse,
    too_far,
)
from worker.reach import Unfinished, reach
from worker.reply import Reply
from worker.retry import Decision, Done, GiveUp, Reason, RetryPolicy, without_seal_key
from worker.sealing import SealKeyGone, opened
from worker.sending.listener import Alone, HearsOfTries

log = structlog.get_logger("voicecode.delivery")


class Submits(Protocol):
    """What delivery needs of the gateway."""

    def submit(self, code: VoiceCode, *, deadline: float) -> Reply:
        """Place one call. `deadline`: on the monotonic clock. Never raises an Exception."""


class Delivery:
    """Takes messages through the six steps. Shared by all threads."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        gateway: Submits,
        replies: Replies,
        outcome_writer: OutcomeWriter,
        worker: str,
        fleet: HearsOfTries | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._gateway = gateway
        self._replies = replies
        self._policy = RetryPolicy.of(settings)
        self._outcome_writer = outcome_writer
        self._worker = worker
        self._fleet: HearsOfTries = fleet or Alone()

    def send(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Deliver a producer's message. Raises Unfinished."""
        task_id = envelope.task_id
        own_id = reach(lambda: self._ledger.own_id(task_id))
        if envelope.expires is not None and kwargs.get("expires_at") is None:
            kwargs = {**kwargs, "expires_at": envelope.expires}
        try:
            envelope.check()
            plain = opened(args, kwargs, self._ledger.seals)
            code = parse(
                *plain,
                task_id=task_id,
                namer=self._ledger.name,
                settings=self._settings,
                not_before=envelope.eta,
                sealed=kwargs.get("sealed") or "",
            )
        except BadInput as error:
            refused = refuse(args, kwargs, own_id=own_id, reason=str(error))
            gone = isinstance(error, SealKeyGone)
            return self._refuse(refused, Reason.SEAL_KEY_GONE if gone else Reason.BAD_INPUT, own_id)
        started = time.monotonic()
        token = secrets.token_hex(8)
        claim = reach(
            lambda: self._ledger.claim(
                code, token=token, worker=self._worker, task_id=own_id, tag=envelope.tag, trace=envelope.trace
            )
        )
        if claim.answer is Answer.CONFLICT:
            reason = "the key is known with another number or code: every code needs a key of its own"
            refused = refuse(args, {**kwargs, "key": own_id}, own_id=own_id, reason=reason)
            return self._refuse(refused, Reason.KEY_CONFLICT, own_id)
        if claim.answer is Answer.TOO_FAR:
            reason = too_far(claim.reason, self._settings)
            refused = refuse(args, kwargs, own_id=own_id, reason=reason)
            return self._refuse(refused, Reason.BAD_INPUT, own_id)
        return self._follow(claim, started)

    def resume(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Deliver a code after a hint of upkeep; the one argument is its key. Raises Unfinished."""
        key = self._one_key(args, kwargs, envelope, "a hint carries one key")
        if isinstance(key, Ending):
            return key
        started = time.monotonic()
        token = secrets.token_hex(8)
        return self._follow(
            reach(lambda: self._ledger.resume(key, token=token, worker=self._worker, tag=envelope.tag)),
            started,
        )

    def cancel(self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope) -> Ending:
        """Withdraw a code; the one argument is its key. Raises Unfinished."""
        named = [kwargs["key"]] if kwargs.keys() == {"key"} else []
        key = self._one_key([*args, *named], {} if named else kwargs, envelope, "a cancel carries one key")
        if isinstance(key, Ending):
            return key
        was = reach(lambda: self._ledger.cancel(key))
        if was is Cancelled.NEWER:
            raise Unfinished(was.value)
        log.info(Event.CODE_CANCELLED, key=key, was=was.value)
        return Ending("cancelled")

    def _one_key(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], envelope: Envelope, rule: str
    ) -> str | Ending:
        """Return the one argument, a key; else the message has become a dead letter."""
        key = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(key, str) and has_key_form(key):
            return key
        own_id = reach(lambda: self._ledger.own_id(envelope.task_id))
        raw = json.dumps([args, kwargs], default=repr)[:RAW_CAP_BYTES]
        return self._refuse(Refused(key=own_id, reason=rule, raw=raw), Reason.BAD_INPUT, own_id)

    def _follow(self, claim: Claim, started: float) -> Ending:
        """Act on the claim's answer. Only CALL places a call."""
        if claim.answer is Answer.CALL:
            return self._attempt(claim, started)
        if claim.answer is Answer.BURIED:
            if claim.reason == Cancelled.CANCELLED.value:
                log.info(Event.CODE_CANCELLED, key=claim.key, was=Cancelled.CALLING.value)
            else:
                report.buried(
                    claim.key, claim.reason, claim.mobile, claim.task_id, incident=self._fleet.incident
                )
            if claim.transition:
                self._fleet.moved(claim.transition)
            return Ending("dead", claim.reason)
        if claim.answer is Answer.ELSEWHERE:
            self._fleet.stand_aside()
            raise Unfinished(claim.answer.value, soon=True)
        if claim.answer is Answer.MISSING:
            log.error(Event.RECORD_MISSING, key=claim.key, alert="warn", runbook="record-missing")
        else:
            log.debug(Event.ATTEMPT_SKIPPED, key=claim.key, answer=claim.answer.value)
        return Ending(SKIPPED)

    def _attempt(self, claim: Claim, started: float) -> Ending:
        reply = self._submit(claim, started)
        try:
            row, decision = self._judge(claim, reply, started)
        except Exception:
            log.exception(Event.ATTEMPT_CRASHED, key=claim.key, alert="page", runbook="worker-bug")
            row, decision = self._without_judgement(reply)
        outcome = Outcome(
            claim=claim,
            reply=reply,
            row=row,
            decision=decision,
            worker=self._worker,
            attempt_seconds=time.monotonic() - started,
            in_fleet=self._settings.stop_sending,
        )
        recorded, transition = self._outcome_writer.until_written(
            lambda: self._ledger.finish(outcome), outcome
        )
        report.attempt(outcome, recorded, incident=self._fleet.incident)
        code = claim.voice_code
        if code is not None:  # else the form never left for want of a key, which is nobody's outage
            self._fleet.heard(row, code.mobile, transition)
        if recorded is Recorded.GONE:
            facts = {"attempt": claim.attempt, "alert": "warn", "runbook": "record-missing"}
            log.error(Event.RECORD_MISSING, key=claim.key, **facts)
            raise Unfinished(Event.RECORD_MISSING)
        reason = decision.reason.value if isinstance(decision, GiveUp) else ""
        return Ending(outcome.word, reason, row.name, claim.task_id)

    def _judge(self, claim: Claim, reply: Reply, started: float) -> tuple[Row, Decision]:
        """Return the row for the reply, and the policy's decision."""
        row = reply.row(self._replies)
        if claim.voice_code is None:
            return row, without_seal_key(claim.streak[1])
        decision = self._policy.decide(
            row,
            tries=claim.tries(row),
            retry_after_seconds=reply.retry_after_seconds,
            seconds_left=claim.seconds_left - (time.monotonic() - started),
        )
        return row, decision

    def _without_judgement(self, reply: Reply) -> tuple[Row, Decision]:
        """Judge despite a bug of ours: an acceptance stays; any other call may have rung."""
        if reply.code == ACCEPTED:
            return self._replies.of_code(ACCEPTED, ""), Done()
        return self._replies.of_symptom(Symptom.CRASH_AFTER_SEND), GiveUp(Reason.AMBIGUOUS)

    def _submit(self, claim: Claim, started: float) -> Reply:
        if claim.voice_code is None:
            return Reply(symptom=Symptom.NOT_SENT, detail="sealed under a key that is not here")
        try:
            return self._gateway.submit(
                claim.voice_code, deadline=started + self._settings.attempt_deadline_seconds
            )
        except Exception as error:
            # The gateway's errors are values, so this is a bug. Nobody knows whether the form left.
            log.exception(Event.ATTEMPT_CRASHED, key=claim.key, alert="page", runbook="worker-bug")
            elapsed = time.monotonic() - started
            return Reply(
                symptom=Symptom.CRASH_AFTER_SEND, detail=type(error).__name__, elapsed_seconds=elapsed
            )

    def _refuse(self, refused: Refused, reason: Reason, own_id: str) -> Ending:
        answer, key = reach(
            lambda: self._ledger.refuse(refused, own_id=own_id, task_id=own_id, reason=reason.value)
        )
        if answer is Refusal.NEW:
            report.refused(key, refused, reason.value, own_id)
        return Ending("dead", reason.value)
