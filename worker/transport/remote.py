"""Remote control: what `celery inspect` and `celery control` hear from a worker.

Only with VOICECODE_REMOTE_CONTROL: whoever reaches Redis could stop the workers by it.
Celery's own answers are taken where they are true. What Celery counts by itself is counted here,
since messages do not pass through its requests and tracer.
"""

import os
import time
from collections.abc import Callable
from typing import Any, Final

from celery.app.control import Control
from celery.exceptions import CeleryCommandException
from celery.platforms import EX_OK, EX_UNAVAILABLE
from celery.worker import state as worker_state
from celery.worker.consumer.control import Control as CeleryControlStep
from celery.worker.control import Panel

from config import names
from worker.process.celery_commands import OFF, REMOTE
from worker.transport.consumer import Tasks
from worker.transport.running import Running

Handler = Callable[..., Any]


class RemoteControl(Control):
    """`app.control`: says at once what no worker would answer."""

    def broadcast(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Send a command to the workers. Raises CeleryCommandException where that is no use."""
        app: Any = self.app
        sentence = REMOTE.get(command) or ("" if app.settings.remote_control else OFF)
        if sentence:
            raise CeleryCommandException(sentence, exit_code=EX_UNAVAILABLE)
        return super().broadcast(command, *args, **kwargs)


def active(state: Any, **_: Any) -> list[dict[str, Any]]:
    """Return the messages that a thread works on, without their arguments."""
    running: Running = state.app.components.running
    return [
        {
            "id": task.task_id,
            "name": task.name,
            "args": [],
            "kwargs": {},
            "type": task.name,
            "hostname": state.hostname,
            "time_start": task.started_at,
            "acknowledged": False,
            "delivery_info": {"routing_key": names.QUEUE, "redelivered": False},
            "worker_pid": os.getpid(),
        }
        for task in running.tasks()
    ]


def reserved(state: Any, **_: Any) -> list[dict[str, Any]]:
    """Return nothing: a worker fetches only what its threads begin at once."""
    del state
    return []


def query_task(state: Any, ids: Any, **_: Any) -> dict[str, Any]:
    """Return those of some tasks that a thread works on."""
    wanted = {ids} if isinstance(ids, str) else set(ids)
    return {task["id"]: ["active", task] for task in active(state) if task["id"] in wanted}


def stats(state: Any, **_: Any) -> dict[str, Any]:
    """Return who this worker is, how many threads it has, and how much it did."""
    components = state.app.components
    pool = state.consumer.controller.pool
    return {
        "pid": os.getpid(),
        "uptime": round(time.monotonic() - components.running.since),
        "clock": str(state.app.clock.value),
        "prefetch_count": pool.limit,
        "pool": {"implementation": "threads", "max-concurrency": pool.limit, "threads": pool.limit},
        "total": components.running.counts(),
        "broker": {"transport": "redis"},
    }


def shutdown(state: Any, **_: Any) -> dict[str, Any]:
    """End this worker warmly. Celery's own command raises at once, and its caller hears nothing."""
    del state
    worker_state.should_stop = EX_OK
    return {"ok": "this worker ends its calls and then itself"}


def _without_meaning(sentence: str) -> Handler:
    return lambda _state, **_: {"error": sentence}


HANDLERS: Final[dict[str, Handler]] = {
    **{command: _without_meaning(sentence) for command, sentence in REMOTE.items()},
    **{name: Panel.data[name] for name in ("ping", "clock", "registered", "active_queues")},
    "active": active,
    "reserved": reserved,
    "query_task": query_task,
    "stats": stats,
    "shutdown": shutdown,
}
"""Every command that a worker answers."""


class ControlStep(CeleryControlStep):
    """Listens for commands, if the setting allows it."""

    requires = (Tasks,)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.box.node.handlers = HANDLERS
