"""Strategy: the way of a message from Celery's event loop to a thread of the pool and to its ack.

Celery's own goes by way of a request object, a tracer, a state machine for results and a promise for the ack: with it the event
loop held the GIL for 55 of 100 samples, with this one for 15. Here a message is unpacked, handed to the pool, delivered, and acked or left alone. No failure reaches
Celery, which would ack it or delete it.
"""

import enum
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from celery import Task

from config.names import Event
from worker.delivery import Delivery, Unfinished
from worker.envelope import Envelope
from worker.message import safe_id
from worker.transport.qos import QoS
from worker.transport.unreadable import Malformed

log = structlog.get_logger("voicecode.tasks")

_JSON: Final = "application/json"
_EXTRAS: Final = ("callbacks", "errbacks", "chain", "chord")
_PARTS_OF_A_BODY: Final = 3

Handler = Callable[[Any, Any, Callable[..., None], Any, Any], None]
Step = Callable[[Delivery, Envelope, list[Any], dict[str, Any]], None]


class End(enum.Enum):
    """What becomes of a message."""

    ACK = "ack"
    """It is done with."""
    RETURN = "return"
    """Redis was away: back to the queue as soon as it answers."""
    LEAVE = "leave"
    """It stays in `unacked` and comes back by the visibility time-out: at once it would fail again."""


class DeliveryTask(Task):  # type: ignore[type-arg]
    """Base of every task; its function is a Step, and takes the message's arguments as they came."""

    abstract = True
    Strategy = "worker.transport.strategy:strategy"
    typing = False
    ignore_result = True
    acks_late = True


def strategy(task: Any, app: Any, consumer: Any) -> Handler:
    """Return what Celery's consumer calls with each message for `task`. The handler raises Malformed."""
    delivery: Delivery = app.components.delivery
    submit = consumer.pool.executor.submit
    hub = consumer.hub
    app.components.credit.wake = lambda: hub.call_soon(_nothing)

    def hand_over(
        message: Any, payload: Any, _ack: Callable[..., None], _reject: Any, _callbacks: Any
    ) -> None:
        arguments, named, envelope = unpack(message, payload)
        qos: QoS = message.channel.qos
        try:
            submit(run, arguments, named, envelope, qos)
        except Exception:
            # The message is in order, and the pool may have kept it: it stays in `unacked`, and the ledger knows a second try.
            log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
            qos.leave(envelope.tag)

    def run(arguments: list[Any], named: dict[str, Any], envelope: Envelope, qos: QoS) -> None:
        """Deliver one message in a thread of the pool, with a log context of its own."""
        qos.begin(envelope.tag)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(task_id=safe_id(envelope.task_id))
        end = _deliver(task.run, delivery, envelope, arguments, named)
        {End.ACK: qos.ack, End.RETURN: qos.give_back, End.LEAVE: qos.leave}[end](envelope.tag)
        structlog.contextvars.clear_contextvars()

    return hand_over


def _nothing() -> None:
    """Do nothing: the event loop is only woken."""


def _deliver(
    step: Step, delivery: Delivery, envelope: Envelope, arguments: list[Any], named: dict[str, Any]
) -> End:
    """Deliver, and say what becomes of the message: it may be acked only where something was recorded for it."""
    try:
        step(delivery, envelope, arguments, named)
    except Unfinished as error:
        return End.RETURN if error.soon else End.LEAVE
    except Exception:
        log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
        return End.LEAVE
    return End.ACK


def unpack(message: Any, payload: Any = None) -> tuple[list[Any], dict[str, Any], Envelope]:
    """Return arguments, named arguments and envelope of a message of Celery's protocol 2, or of 1, whose `payload` Celery has decoded.

    Raises Malformed.
    """
    if payload is None:
        headers = message.headers
        body = _body(message)
        if not isinstance(body, list) or len(body) != _PARTS_OF_A_BODY:
            cause = "the body is not [args, kwargs, embed]"
            raise Malformed(cause)
        arguments, named, embed = body
    else:
        headers = embed = payload
        arguments, named = payload.get("args") or [], payload.get("kwargs") or {}
    for name, part, kind in (
        ("args", arguments, list),
        ("kwargs", named, dict),
        ("embed", embed or {}, dict),
    ):
        if not isinstance(part, kind):
            cause = f"{name} is no {'list' if kind is list else 'object'}"
            raise Malformed(cause)
    envelope = Envelope(
        task_id=str(headers.get("id") or message.delivery_tag),
        tag=str(message.delivery_tag),
        eta=_epoch("eta", headers.get("eta")),
        expires=_epoch("expires", headers.get("expires")),
        extras=tuple(name for name in _EXTRAS if (embed or {}).get(name)),
    )
    return arguments, named, envelope


def _body(message: Any) -> Any:
    """Return the decoded body. What is not plain JSON goes through kombu, which refuses what we do not accept."""
    if message.content_type != _JSON or "compression" in message.headers:
        return message.decode()
    try:
        return json.loads(message.body)
    except (ValueError, RecursionError, TypeError) as error:
        cause = (
            "the body is nested too deeply" if isinstance(error, RecursionError) else "the body is no JSON"
        )
        raise Malformed(cause) from None


def _epoch(name: str, moment: Any) -> float | None:
    """Return a header's ISO 8601 moment as epoch seconds; one without a zone is UTC."""
    if moment is None:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        cause = f"the header {name} is no ISO 8601 moment"
        raise Malformed(cause) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
