"""Request: Celery's, taught to leave a message alone, and to forget what its producer wrote in clear."""

from datetime import datetime
from typing import Any, Final

from celery import Task
from celery.exceptions import Ignore, InvalidTaskError
from celery.worker.request import Request as CeleryRequest
from celery.worker.state import task_ready
from kombu.transport.virtual import QoS

from worker.envelope import Envelope

_EXTRAS: Final = ("callbacks", "errbacks", "chain", "chord")


class LeaveUnacked(Ignore):
    """Raised by a task whose message must be neither acked nor rejected.

    Celery acks a failed task or deletes it, and requeueing loops hot; a message that is left comes back by the visibility
    time-out.
    """


class Request(CeleryRequest):
    """Named in DeliveryTask. Raises InvalidTaskError where the message's parts are of the wrong kind."""

    _eta: datetime | None
    _expires: datetime | None
    _body: Any

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(message, *args, **kwargs)
            arguments, named, embed = self._payload
        except (KeyError, TypeError, ValueError) as error:
            cause = f"the body is not [args, kwargs, embed]: {type(error).__name__}"
            raise InvalidTaskError(cause) from None
        if not isinstance(arguments, list | tuple) or not isinstance(named, dict) or not isinstance(embed or {}, dict):
            cause = "the body is not [args, kwargs, embed]: wrong kinds"
            raise InvalidTaskError(cause)
        # Celery copies these into its events and its log; a producer may not have redacted them.
        self._argsrepr = self._kwargsrepr = ""
        # Celery would keep an eta in this process's memory, drop a task by `expires` without running any of our code, and
        # send callbacks after a task that refused them. The ledger keeps the first two; the third is refused.
        envelope = Envelope(
            task_id=str(self.id),
            tag=str(message.delivery_tag),
            eta=_epoch(self._eta),
            expires=_epoch(self._expires),
            extras=tuple(name for name in _EXTRAS if (embed or {}).get(name)),
        )
        self._eta = self._expires = None
        self._body, self._content_type = (arguments, named, {}), None
        self._request_dict.update(argsrepr="", kwargsrepr="", eta=None, expires=None, envelope=envelope)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note that a thread has begun with the message: it is not given back at shutdown."""
        begun = getattr(self._message.channel.qos, "begun", None)
        if begun is not None:
            begun.add(self._message.delivery_tag)
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Give the slot back and leave the message in `unacked`: no failure that gets here has a record."""
        task_ready(self)
        QoS.ack(self._message.channel.qos, self._message.delivery_tag)


class DeliveryTask(Task):  # type: ignore[type-arg]
    """Base of every task: no check of arguments by Celery (a wrong one is a dead letter of ours), and Request above."""

    abstract = True
    Request = "worker.request:Request"
    typing = False
    ignore_result = True
    acks_late = True


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
