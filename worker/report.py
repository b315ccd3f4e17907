"""Report: the canonical log lines, one for each attempt and one for each dead letter."""

from typing import Any, Final

import structlog

from config.masking import mask_mobile
from config.names import Event
from config.replies import Alert, Row
from worker.envelope import trace_id_of
from worker.ledger.finish import Outcome, Recorded
from worker.message import Refused
from worker.retry import GiveUp, Reason, RetryIn

log = structlog.get_logger("voicecode.report")

_LEVELS: Final = {Alert.NONE: "info", Alert.WARN: "warning", Alert.PAGE: "error"}


def attempt(outcome: Outcome, recorded: Recorded, *, incident: str = "") -> None:
    """Log how an attempt ended and, if it was the last, the dead letter.

    `incident`: the fleet's, named if the reply belongs to it.
    """
    claim, reply, row = outcome.claim, outcome.reply, outcome.row
    facts = {
        **(claim.voice_code.log_context() if claim.voice_code else {"key": claim.key}),
        "task_id": claim.task_id,
        "trace_id": trace_id_of(claim.trace),
        "attempt": claim.attempt,
        "outcome": outcome.word,
        "row": row.name,
        "kind": row.kind.value,
        "reply_code": reply.code,
        "reply_message": reply.message or None,
        "http_status": reply.http_status,
        "elapsed_seconds": round(reply.elapsed_seconds, 4),
        "age_seconds": round(claim.age_seconds + reply.elapsed_seconds, 3),
        "voice_id": reply.voice_id,
        "detail": reply.detail or None,
        "recorded": recorded.value,
        "worker": outcome.worker,
    }
    if isinstance(outcome.decision, RetryIn):
        facts["retry_in_seconds"] = round(outcome.decision.seconds, 2)
    if claim.replays:
        facts["replays"] = claim.replays
    _say(Event.ATTEMPT_FINISHED, row, facts, in_fleet=outcome.in_fleet)
    if recorded is Recorded.DOUBLED:
        log.error(
            Event.DOUBLE_CALL, key=claim.key, attempt=claim.attempt, alert="page", runbook="double-call"
        )
    elif recorded is Recorded.FENCED:
        log.warning(
            Event.OUTCOME_FENCED, key=claim.key, attempt=claim.attempt, alert="warn", runbook="worker-died"
        )
    elif recorded in {Recorded.DEAD, Recorded.DONE} and isinstance(outcome.decision, GiveUp):
        # DONE: the script's first answer was lost, so nothing has been logged yet.
        mobile = claim.voice_code.mobile if claim.voice_code else ""
        _dead_letter(
            claim.key,
            outcome.decision.reason.value,
            mobile,
            claim.task_id,
            row,
            in_fleet=outcome.in_fleet,
            attempts=claim.attempt,
            trace_id=trace_id_of(claim.trace),
            incident=incident if row.is_incident else None,
        )


def buried(key: str, reason: str, mobile: str, task_id: str, *, incident: str = "") -> None:
    """Log a dead letter without a last attempt: the code expired, or nobody can be called."""
    named: dict[str, Any] = {"incident": incident} if incident and reason == Reason.PERMANENT.value else {}
    _dead_letter(key, reason, mobile, task_id, None, **named)


def refused(key: str, message: Refused, reason: str, task_id: str) -> None:
    """Log a message that cannot be called."""
    facts = {
        "key": key,
        "reason": reason,
        "detail": message.reason,
        "mobile": mask_mobile(message.mobile),
        "task_id": task_id,
    }
    level = log.error if reason == Reason.KEY_CONFLICT.value else log.warning
    level(Event.DEAD_LETTER_WRITTEN, **facts, alert="warn", runbook="bad-input")


def _dead_letter(  # noqa: PLR0913 - the facts of one line
    key: str, reason: str, mobile: str, task_id: str, row: Row | None, *, in_fleet: bool = False, **more: Any
) -> None:
    facts = {"key": key, "reason": reason, "mobile": mask_mobile(mobile), "task_id": task_id, **more}
    if row is None:
        log.warning(Event.DEAD_LETTER_WRITTEN, **facts, alert="warn", runbook=reason)
    else:
        _say(
            Event.DEAD_LETTER_WRITTEN,
            row,
            {**facts, "row": row.name, "scope": row.scope.value},
            at_least="warning",
            in_fleet=in_fleet,
        )


def _say(
    event: str, row: Row, facts: dict[str, Any], at_least: str = "info", *, in_fleet: bool = False
) -> None:
    # In a fleet, an incident of the account or of a host pages once: when it stops somebody.
    alert = Alert.WARN if in_fleet and row.alert is Alert.PAGE and row.is_incident else row.alert
    if alert is not Alert.NONE:
        facts |= {"alert": alert.value, "runbook": row.runbook}
    level = at_least if alert is Alert.NONE else _LEVELS[alert]
    getattr(log, level)(event, **{name: value for name, value in facts.items() if value is not None})
