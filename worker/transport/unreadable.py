"""Unreadable: a queued item that is not a voice code becomes a dead letter with its bytes."""

import json
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery.exceptions import InvalidTaskError

from config.names import Event
from worker import report
from worker.ledger import Ledger
from worker.ledger.refuse import Refusal
from worker.message import RAW_CAP_BYTES, Refused
from worker.retry import Reason
from worker.store.availability import RedisUnavailable
from worker.transport.unacked import Acks

log = structlog.get_logger("voicecode.unreadable")

RAW: Final = "raw"
"""Key under which a kombu message keeps its original bytes."""
_DETAILS: Final = {
    Reason.UNREADABLE: "the message cannot be read",
    Reason.UNKNOWN_TASK: "no task of this name is known to this version",
}
_CAUSES: Final = {
    "Error": "the body is no base64",
    "ContentDisallowed": "its content type is not accepted: only JSON is",
    "DecodeError": "the body is not what its content type says",
    "JSONDecodeError": "it is no JSON",
    "RecursionError": "it is nested too deeply",
    "UnicodeDecodeError": "its bytes are no text",
    "KeyError": "a part is missing, or names something unknown",
    "LookupError": "it names an unknown encoding",
    "TypeError": "a part has the wrong type",
    "AttributeError": "a part has the wrong type",
}
"""What kombu's exceptions mean, by their names: their own texts may hold the message's values."""


class Malformed(InvalidTaskError):  # noqa: N818 - a fact about a message
    """Parts of a message are wrong. The text names them and the fault, without any value."""


def cause_of(error: Exception) -> str:
    """Return what was wrong with a message, without any of its values."""
    name = type(error).__name__
    return str(error) if isinstance(error, Malformed) else _CAUSES.get(name, name)


def fault_of_message(error: Exception) -> bool:
    """Return whether the message cannot be decoded. A lack of memory or threads does not count."""
    return isinstance(error, RecursionError) or not isinstance(error, MemoryError | RuntimeError)


class Unreadable:
    """Buries messages that Celery cannot take. If Redis is away they stay in `unacked`."""

    def __init__(self, ledger: Ledger, acks: Acks) -> None:
        self._ledger = ledger
        self._acks = acks

    def bury_item(self, tag: str, item: bytes, cause: str) -> None:
        """Bury a fetched item that kombu cannot take. `cause`: from `cause_of`."""
        if self._record(item, Reason.UNREADABLE, cause, lambda: "raw:" + self._ledger.name(tag)):
            self._acks.add(tag)

    def bury_message(self, message: Any, reason: Reason, cause: str) -> bool:
        """Bury a message that Celery cannot take. Return True if it may be acked."""
        item = message._raw  # noqa: SLF001 - kombu keeps it there and nowhere else
        raw = item.get(RAW) or json.dumps(item, ensure_ascii=True, default=repr).encode()
        headers = message.headers if isinstance(message.headers, dict) else {}
        identity = headers.get("id") or message.delivery_tag
        return self._record(raw, reason, cause, lambda: self._ledger.own_id(identity))

    def _record(self, raw: bytes, reason: Reason, cause: str, identify: Callable[[], str]) -> bool:
        try:
            own_id = identify()
            refused = Refused(key=own_id, reason=f"{_DETAILS[reason]}: {cause}", raw=raw[:RAW_CAP_BYTES])
            answer, key = self._ledger.refuse(refused, own_id=own_id, task_id=own_id, reason=reason.value)
        except RedisUnavailable as error:
            log.warning(Event.MESSAGE_LEFT, cause=str(error), alert="warn", runbook="redis-away")
            return False
        except Exception:
            # This runs in the event loop. A bug here would end one worker after the other over one
            # message.
            log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
            return False
        if answer is Refusal.NEW:
            report.refused(key, refused, reason.value, own_id)
        return True
