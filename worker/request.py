"""Request: Celery's, taught to leave a message alone, and to forget what its producer wrote in clear."""

from datetime import datetime
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.worker.request import Request as CeleryRequest
from celery.worker.state import task_ready
from kombu.transport.virtual import QoS


class LeaveUnacked(Ignore):
    """Raised by a task whose message must be neither acked nor rejected.

    Celery acks a failed task or deletes it, and requeueing loops hot; a message that is left comes back by the visibility
    time-out.
    """


class Request(CeleryRequest):
    """Named in DeliveryTask."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        # Celery copies these into its events and its log; a producer may not have redacted them.
        self._argsrepr = self._kwargsrepr = ""
        self._request_dict.update(argsrepr="", kwargsrepr="")
        # Celery would keep the first in this process's memory, and drop a task by the second without running any of our
        # code. The ledger keeps both.
        self.not_before, self._eta = _epoch(self._eta), None
        self.expires_at, self._expires = _epoch(self._expires), None
        self._request_dict.update(not_before=self.not_before, expires_at=self.expires_at, eta=None, expires=None)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: FBT001, FBT002 - Celery's signature
        """Where the task asks for it, give the slot back and leave the message in `unacked`."""
        if not isinstance(exc_info.exception, LeaveUnacked):
            return super().on_failure(exc_info, send_failed_event, return_ok)
        task_ready(self)
        QoS.ack(self._message.channel.qos, self._message.delivery_tag)
        return None


class DeliveryTask(Task):  # type: ignore[type-arg]
    """Base of every task: no check of arguments by Celery (a wrong one is a dead letter of ours), and Request above."""

    abstract = True
    Request = "worker.request:Request"
    typing = False
    ignore_result = True
    acks_late = True


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
