"""Producer: enqueues by stock Celery, as a web app would, for `voicecode send`."""

import dataclasses
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError

from config import names
from config.celeryconfig import PUBLISH_OPTIONS, celery_settings
from config.settings import Settings
from worker.ledger import Ledger
from worker.ledger.record import Record
from worker.message import parse
from worker.store.availability import RedisAvailability, RedisUnavailable
from worker.store.client import connect

_POLL_SECONDS: Final = 0.1
_ENDS: Final = ("accepted", "dead", "cancelled")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A code on the queue."""

    key: str
    task_id: str
    give_up_at: float
    """Epoch seconds by which it must have ended."""


class Producer:
    """Sends codes and waits until each is accepted or dead."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._celery = Celery("voicecode-send", set_as_current=False)
        options = celery_settings(settings)
        limits = {**options["broker_transport_options"], **PUBLISH_OPTIONS}
        self._celery.conf.update(task_publish_retry=False, broker_transport_options=limits)
        # By name: Celery prefers CELERY_BROKER_URL to what an app is given.
        self._connection = self._celery.connection_for_write(
            options["broker_url"], ssl=options["broker_use_ssl"] or False
        )
        self._ledger = Ledger(connect(settings), settings, RedisAvailability(0.0, time.monotonic))

    def send(
        self,
        mobile: str,
        code: str,
        *,
        key: str | None = None,
        expires_in_seconds: float | None = None,
        purpose: str | None = None,
    ) -> Sent:
        """Enqueue one code. Raises BadInput before anything is sent, and RedisUnavailable."""
        now, task_id = time.time(), str(uuid.uuid4())
        life = self._settings.code_ttl_seconds if expires_in_seconds is None else expires_in_seconds
        more: dict[str, Any] = {"key": key or f"send:{task_id}", "expires_at": now + life}
        if purpose:
            more["purpose"] = purpose
        checked = parse(
            [mobile, code], more, task_id=task_id, namer=self._ledger.name, now=now, settings=self._settings
        )
        redacted = repr(checked.log_context()["mobile"])
        try:
            self._celery.send_task(
                names.SEND_TASK,
                args=[mobile, code],
                kwargs=more,
                queue=names.QUEUE,
                connection=self._connection,
                task_id=task_id,
                argsrepr=f"({redacted}, '[redacted]')",
                kwargsrepr=repr({"key": checked.key}),
            )
        except OperationalError as error:
            raise RedisUnavailable(str(error)) from error
        return Sent(
            key=checked.key,
            task_id=task_id,
            give_up_at=now + life + self._settings.visibility_timeout_seconds,
        )

    def wait(self, sent: Sent, *, sleep: Callable[[float], None] = time.sleep) -> Record | None:
        """Return the record once the code is accepted or dead, or its life is over."""
        while True:
            record = self._ledger.record(sent.key)
            if (record and record.state in _ENDS) or time.time() > sent.give_up_at:
                return record
            sleep(_POLL_SECONDS)
