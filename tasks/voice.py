"""The tasks of voice codes: what producers send, and what upkeep sends."""

from collections.abc import Callable
from typing import Any

import structlog

from config import names
from config.names import Event
from worker.app import app
from worker.delivery import Delivery, Unfinished
from worker.envelope import Envelope
from worker.message import safe_id
from worker.request import DeliveryTask, LeaveUnacked

log = structlog.get_logger("voicecode.tasks")


def documented(
    mobile: str, code: str, *, key: str | None = None, expires_at: float | None = None, purpose: str | None = None
) -> None:
    """Have a code read out to a number: the arguments that a producer may send.

    `mobile`: a mainland mobile number. `code`: 4-6 digits, a string. `key`: idempotency key (default: the task id).
    `expires_at`: epoch seconds after which no call is started. `purpose`: what it is for, e.g. `login`.
    """


@app.task(name=names.SEND_TASK, base=DeliveryTask, bind=True)
def send_voice_code(task: Any, /, *args: Any, **kwargs: Any) -> None:
    """Deliver what a producer sent; the arguments are checked by us, so that a wrong one becomes a dead letter."""
    envelope: Envelope = task.request.envelope
    _run(envelope, lambda delivery: delivery.send(documented, args, kwargs, envelope))


@app.task(name=names.RESUME_TASK, base=DeliveryTask, bind=True)
def resume_voice_code(task: Any, key: str) -> None:
    """Look at a key again: its retry is due, or its worker died."""
    envelope: Envelope = task.request.envelope
    _run(envelope, lambda delivery: delivery.resume(key, envelope))


def _run(envelope: Envelope, step: Callable[[Delivery], None]) -> None:
    """Run one step with a log context of its own; a message for which nothing was recorded stays unacked."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=safe_id(envelope.task_id))
    try:
        step(app.parts.delivery)
    except Unfinished as error:
        raise LeaveUnacked(str(error)) from error
    except Exception as error:
        log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
        raise LeaveUnacked(type(error).__name__) from None
    finally:
        structlog.contextvars.clear_contextvars()
