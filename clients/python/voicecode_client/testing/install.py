"""Puts the stand-in behind every client of the process, and behind a Celery app."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

from voicecode_client import AsyncClient, Client, core, message
from voicecode_client.testing.desk import VoiceCodes


@contextlib.contextmanager
def nobody_is_called() -> Iterator[VoiceCodes]:
    """Replace the last step of each client, old or new: what it would say to Redis."""
    desk, arguments = VoiceCodes(), core.Core._arguments  # noqa: SLF001 - of this package

    def remembered(self: core.Core, job: core.Job) -> list[Any]:
        desk.remember(job.task_id, job.mobile, job.code)
        return arguments(self, job)

    def ask(_self: Client, command: list[Any]) -> Any:
        return desk.carry_out(command)

    async def ask_later(_self: AsyncClient, command: list[Any]) -> Any:
        return desk.carry_out(command)

    with (
        mock.patch.object(core.Core, "_arguments", remembered),
        mock.patch.object(Client, "_ask", ask),
        mock.patch.object(AsyncClient, "_ask", ask_later),
    ):
        yield desk


@contextlib.contextmanager
def celery_calls_nobody(app: Any, desk: VoiceCodes) -> Iterator[None]:
    """Replace `app.send_task` for the two tasks, and refuse what a worker would never see."""
    send_task = app.send_task
    ours = {message.SEND_TASK, message.CANCEL_TASK}

    def instead(name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if name not in ours:
            return send_task(name, args, kwargs, **options)
        if options.get("task_type") is not None:
            text = f"{name} is a task of this app: its own worker would run it, and nobody be called"
            raise AssertionError(text)
        named = {key: options[key] for key in ("queue", "routing_key", "exchange") if options.get(key)}
        queue = app.amqp.router.route(named, name, args or (), kwargs or {}).get("queue")
        if getattr(queue, "name", queue or app.conf.task_default_queue) != message.QUEUE:
            text = f"{name} would lie on another queue than {message.QUEUE}, and nobody be called"
            raise AssertionError(text)
        task_id = options.get("task_id") or str(uuid.uuid4())
        item = message.write(name, list(args or ()), dict(kwargs or {}), task_id=task_id)
        desk.carry_out(["LPUSH", message.QUEUE, item])
        return app.AsyncResult(task_id)

    with mock.patch.object(app, "send_task", instead):
        yield
