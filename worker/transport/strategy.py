"""Strategy: how a message gets from Celery's event loop to a thread of the pool, and to its ack.

A message is unpacked, handed to the pool, delivered, and acked or left in `unacked`.
Celery's own strategy adds a request object, a tracer, a state machine for results and a promise for
the ack. With it the event loop held the GIL in 55 of 100 samples, with this one in 15.
No failure reaches Celery, which would ack the message or delete it.
"""

import enum
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from celery import Task

from config.names import Event
from worker.delivery import Delivery
from worker.envelope import Ending, Envelope, trace_of
from worker.message import is_key
from worker.reach import Unfinished
from worker.transport.qos import QoS
from worker.transport.running import Running
from worker.transport.signals import Signals
from worker.transport.unreadable import Malformed

log = structlog.get_logger("voicecode.tasks")

_JSON: Final = "application/json"
_EXTRAS: Final = ("callbacks", "errbacks", "chain", "chord")
_PARTS_OF_A_BODY: Final = 3

Handler = Callable[[Any, Any, Callable[..., None], Any, Any], None]
Step = Callable[[Delivery, Envelope, list[Any], dict[str, Any]], Ending]


class End(enum.Enum):
    """What becomes of a message."""

    ACK = "ack"
    """It is finished."""
    RETURN = "return"
    """Redis was away: it goes back to the queue as soon as Redis answers."""
    LEAVE = "leave"
    """It stays in `unacked` until the visibility time-out: tried at once, it would fail again."""


class DeliveryTask(Task):  # type: ignore[type-arg]
    """Base of every task. Its function is a Step and takes the message's arguments unchecked."""

    abstract = True
    Strategy = "worker.transport.strategy:strategy"
    typing = False
    ignore_result = True
    acks_late = True


def strategy(task: Any, app: Any, consumer: Any) -> Handler:
    """Return the handler that Celery calls with each message for `task`. It raises Malformed."""
    delivery: Delivery = app.components.delivery
    running: Running = app.components.running
    submit = consumer.pool.executor.submit
    signals = Signals(task, consumer)
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
            # The message is sound, and the pool may have kept it. It stays in `unacked`; the ledger
            # recognises a second delivery.
            log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
            qos.leave(envelope.tag)

    def run(arguments: list[Any], named: dict[str, Any], envelope: Envelope, qos: QoS) -> None:
        """Deliver one message in a thread of the pool, with a log context of its own."""
        qos.begin(envelope.tag)
        running.begin(envelope.tag, envelope.task_id, task.name)
        structlog.contextvars.clear_contextvars()
        if is_key(envelope.task_id):  # others are named later, by a digest
            structlog.contextvars.bind_contextvars(task_id=envelope.task_id)
        end = _deliver(task.run, delivery, signals, envelope, arguments, named)
        running.end(envelope.tag)
        {End.ACK: qos.ack, End.RETURN: qos.give_back, End.LEAVE: qos.leave}[end](envelope.tag)
        structlog.contextvars.clear_contextvars()

    return hand_over


def _nothing() -> None:
    """Do nothing: the call itself wakes the event loop."""


def _deliver(  # noqa: PLR0913, PLR0917 - the step's arguments, and who hears of it
    step: Step,
    delivery: Delivery,
    signals: Signals,
    envelope: Envelope,
    arguments: list[Any],
    named: dict[str, Any],
) -> End:
    """Deliver, and return what becomes of the message. Only a recorded one may be acked."""
    end, ending, crash = End.ACK, None, None
    told = signals.begin(envelope, arguments, named)
    try:
        ending = step(delivery, envelope, arguments, named)
    except Unfinished as error:
        end = End.RETURN if error.soon else End.LEAVE
    except Exception as error:
        crash, end = error, End.LEAVE
        log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
    if told is not None:
        signals.end(told, ending, crash)
    return end


def unpack(message: Any, payload: Any = None) -> tuple[list[Any], dict[str, Any], Envelope]:
    """Return a message's arguments, named arguments and envelope. Raises Malformed.

    `payload`: None for Celery's protocol 2; for protocol 1 the body, which Celery has decoded.
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
            cause = f"{name} is not {'a list' if kind is list else 'an object'}"
            raise Malformed(cause)
    envelope = Envelope(
        task_id=str(headers.get("id") or message.delivery_tag),
        tag=str(message.delivery_tag),
        eta=_epoch("eta", headers.get("eta")),
        expires=_epoch("expires", headers.get("expires")),
        trace=trace_of(headers.get("traceparent")),
        extras=tuple(name for name in _EXTRAS if (embed or {}).get(name)),
    )
    return arguments, named, envelope


def _body(message: Any) -> Any:
    """Return the decoded body. kombu decodes what is not plain JSON, or refuses it."""
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
    """Return a header's ISO 8601 time as epoch seconds. Without a zone it is UTC."""
    if moment is None:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        cause = f"the header {name} is not an ISO 8601 time"
        raise Malformed(cause) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
