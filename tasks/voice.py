"""The tasks of voice codes: what producers send, and what upkeep sends."""

from typing import Any

from config import names
from worker.app import app
from worker.delivery import Delivery
from worker.envelope import Envelope
from worker.transport.strategy import DeliveryTask


def documented(
    mobile: str,
    code: str,
    *,
    key: str | None = None,
    expires_at: float | None = None,
    purpose: str | None = None,
) -> None:
    """Have a code read out to a number: the arguments that a producer may send.

    `mobile`: a mainland mobile number. `code`: 4-6 digits, a string. `key`: idempotency key (default: the task id).
    `expires_at`: epoch seconds after which no call is started. `purpose`: what it is for, e.g. `login`.
    """


@app.task(name=names.SEND_TASK, base=DeliveryTask)
def send_voice_code(delivery: Delivery, envelope: Envelope, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Deliver what a producer sent; the arguments are checked by us, so that a wrong one becomes a dead letter."""
    delivery.send(documented, args, kwargs, envelope)


@app.task(name=names.RESUME_TASK, base=DeliveryTask)
def resume_voice_code(
    delivery: Delivery, envelope: Envelope, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """Look at a key again: its retry is due, or its worker died."""
    delivery.resume(args, kwargs, envelope)
