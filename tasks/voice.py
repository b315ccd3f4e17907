"""The tasks of voice codes: two for producers, one for upkeep."""

from typing import Any

from config import names
from worker.app import app
from worker.delivery import Delivery
from worker.envelope import Ending, Envelope
from worker.transport.strategy import DeliveryTask


@app.task(name=names.SEND_TASK, base=DeliveryTask)
def send_voice_code(
    delivery: Delivery, envelope: Envelope, args: list[Any], kwargs: dict[str, Any]
) -> Ending:
    """Deliver what a producer sent; `worker.message.send_voice_code` has the arguments.

    They are checked there and not by Celery: a message with a wrong one becomes a dead letter.
    """
    return delivery.send(args, kwargs, envelope)


@app.task(name=names.CANCEL_TASK, base=DeliveryTask)
def cancel_voice_code(
    delivery: Delivery, envelope: Envelope, args: list[Any], kwargs: dict[str, Any]
) -> Ending:
    """Call a code no more; the one argument is its `key`."""
    return delivery.cancel(args, kwargs, envelope)


@app.task(name=names.RESUME_TASK, base=DeliveryTask)
def resume_voice_code(
    delivery: Delivery, envelope: Envelope, args: list[Any], kwargs: dict[str, Any]
) -> Ending:
    """Look at a key again: its retry is due, or its worker died."""
    return delivery.resume(args, kwargs, envelope)
