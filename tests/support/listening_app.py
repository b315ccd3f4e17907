"""A worker with listeners: each of Celery's task signals becomes a line of its log.

`celery -A tests.support.listening_app worker`
"""

from typing import Any

import structlog
from celery import signals

from worker.app import app

__all__ = ["app"]

log = structlog.get_logger("voicecode.listener")


@signals.task_prerun.connect
def _prerun(sender: Any, task_id: str, args: Any, kwargs: Any, **_: Any) -> None:
    request = sender.request
    facts = {"id": request.id, "trace": getattr(request, "traceparent", ""), "given": repr((args, kwargs))}
    log.info("signal.prerun", task=sender.name, about=task_id, **facts)


@signals.task_success.connect
def _success(sender: Any, result: Any, **_: Any) -> None:
    log.info("signal.success", task=sender.name, about=sender.request.id, result=result)


@signals.task_retry.connect
def _retry(sender: Any, request: Any, reason: Any, **_: Any) -> None:
    log.info("signal.retry", task=sender.name, about=request.id, why=repr(reason))


@signals.task_failure.connect
def _failure(sender: Any, task_id: str, exception: Any, **_: Any) -> None:
    log.info("signal.failure", task=sender.name, about=task_id, why=repr(exception))


@signals.task_postrun.connect
def _postrun(sender: Any, task_id: str, state: str, **_: Any) -> None:
    log.info("signal.postrun", task=sender.name, about=task_id, state=state)
