"""Signals: Celery's own signals and task events, sent only where somebody listens.

Messages do not pass through Celery's tracer, so it would send neither. What listens gets the
message's id, the task's name and how it ended; number, code and key are redacted.

A code whose call failed and is tried again is retried; a dead letter is a failure.
A message that ends without a call, such as a duplicate's, is ignored. A message that goes back to
the queue is rejected.
"""

import dataclasses
import time
from typing import Any, Final

from celery import signals, states

from config import names
from config.masking import REDACTED, mask_id
from worker.envelope import SKIPPED, Ending, Envelope

_SIGNALS: Final = (
    signals.task_prerun,
    signals.task_postrun,
    signals.task_success,
    signals.task_retry,
    signals.task_failure,
)
_NAMES: Final = frozenset({"mobile", "code", "key", "purpose", "expires_at"})
"""Arguments whose names are shown. Another name may hold anything."""

_EVENTS: Final = {
    states.SUCCESS: "task-succeeded",
    states.IGNORED: "task-succeeded",
    states.RETRY: "task-retried",
    states.FAILURE: "task-failed",
}


class DeadLetter(Exception):  # noqa: N818 - Celery calls it a failure; here it is a fate of a code
    """The code is in the failure queue. The text is the reason, and the row if a try was made."""


class TriedAgain(Exception):  # noqa: N818 - the same
    """The code waits for another try. The text is the row of the reply."""


class Crashed(Exception):  # noqa: N818 - the same
    """A bug of ours. The text is the name of the exception; the log has its masked traceback."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """A message that listeners were told about. `began`: on the monotonic clock."""

    envelope: Envelope
    args: tuple[str, ...]
    kwargs: dict[str, str]
    began: float


class Signals:
    """Of one task, in one worker. `consumer`: Celery's, whose dispatcher sends events with `-E`."""

    def __init__(self, task: Any, consumer: Any) -> None:
        self._task = task
        self._consumer = consumer
        self._is_hint = task.name == names.RESUME_TASK

    def begin(self, envelope: Envelope, arguments: list[Any], named: dict[str, Any]) -> Told | None:
        """Tell that a thread begins a message. Returns None if nobody listens."""
        if not (self._events() or any(signal.receivers for signal in _SIGNALS)):
            return None
        envelope = dataclasses.replace(envelope, task_id=mask_id(envelope.task_id))
        kwargs = {name: REDACTED for name in named if name in _NAMES}
        told = Told(envelope, (REDACTED,) * len(arguments), kwargs, time.monotonic())
        shown = {"args": repr(told.args), "kwargs": repr(kwargs)}
        if not self._is_hint:
            self._event("task-received", envelope.task_id, name=self._task.name, retries=0, **shown)
            self._event("task-started", envelope.task_id)
        self._push(told)
        signals.task_prerun.send(
            sender=self._task, task_id=envelope.task_id, task=self._task, args=told.args, kwargs=kwargs
        )
        return told

    def end(self, told: Told, ending: Ending | None, error: BaseException | None) -> None:
        """Tell how it ended. `ending`: None if it goes back to the queue, or `error` came."""
        try:
            state, failure = _state(ending, error)
            result = "" if ending is None else ending.word
            self._tell_events(told, ending, state, failure)
            self._tell(told, state, failure, result)
        finally:
            self._task.pop_request()

    def _tell(self, told: Told, state: str, failure: Exception | None, result: str) -> None:
        task, task_id = self._task, told.envelope.task_id
        if state == states.SUCCESS:
            signals.task_success.send(sender=task, result=result)
        elif state == states.RETRY:
            signals.task_retry.send(sender=task, request=task.request, reason=failure, einfo=None)
        elif state == states.FAILURE:
            signals.task_failure.send(
                sender=task,
                task_id=task_id,
                exception=failure,
                args=told.args,
                kwargs=told.kwargs,
                traceback=None,
                einfo=None,
            )
        signals.task_postrun.send(
            sender=task,
            task_id=task_id,
            task=task,
            args=told.args,
            kwargs=told.kwargs,
            retval=result or failure,
            state=state,
        )

    def _push(self, told: Told) -> None:
        """Let listeners find a request at `task.request`, as they are used to."""
        envelope = told.envelope
        self._task.push_request(
            id=envelope.task_id,
            root_id=envelope.task_id,
            correlation_id=envelope.task_id,
            args=told.args,
            kwargs=told.kwargs,
            retries=0,
            hostname=self._consumer.hostname,
            delivery_info={"exchange": "", "routing_key": self._task.app.conf.task_default_queue},
            called_directly=False,
            **({"traceparent": envelope.trace} if envelope.trace else {}),
        )

    def _events(self) -> Any:
        """Return Celery's dispatcher if task events are asked for."""
        dispatcher = getattr(self._consumer, "event_dispatcher", None)
        return dispatcher if dispatcher and dispatcher.enabled and not dispatcher.groups else None

    def _tell_events(self, told: Told, ending: Ending | None, state: str, failure: Exception | None) -> None:
        """Send how it ended. A hint's end is that of the message which brought the code first."""
        task_id = told.envelope.task_id
        if self._is_hint:
            if ending is None or not ending.task_id:
                return
            task_id = ending.task_id
            self._event("task-started", task_id)
        kind = _EVENTS.get(state)
        if kind == "task-succeeded":
            runtime = time.monotonic() - told.began
            self._event(kind, task_id, result=ending.word if ending else "", runtime=runtime)
        elif kind:
            self._event(kind, task_id, exception=repr(failure), traceback="")

    def _event(self, kind: str, task_id: str, **facts: Any) -> None:
        if dispatcher := self._events():
            dispatcher.send(kind, uuid=task_id, **facts)


def _state(ending: Ending | None, error: BaseException | None) -> tuple[str, Exception | None]:
    if error is not None:
        return states.FAILURE, Crashed(type(error).__name__)
    if ending is None:
        return states.REJECTED, None
    reason = " ".join(part for part in (ending.reason, ending.row) if part)
    return {
        "accepted": (states.SUCCESS, None),
        "cancelled": (states.SUCCESS, None),
        "retry": (states.RETRY, TriedAgain(reason)),
        "dead": (states.FAILURE, DeadLetter(reason)),
        SKIPPED: (states.IGNORED, None),
    }[ending.word]
