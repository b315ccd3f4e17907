"""Refusals: why a worker does not start, each reason in one sentence that names the cure."""

import dataclasses
import re
from collections.abc import Callable
from typing import Final

import click
from click.core import ParameterSource

from config import names
from worker.process import celery_commands

_SECRETS: Final = re.compile(r"(?<=://)[^/@;]*@|\?[^;]*")
_CELERYS_OWN: Final = "celery."
OTHER_APP: Final = (
    "{app} imports tasks.voice, but its worker would not be one for voice codes:"
    " start that by `celery -A worker worker`,"
    " and send codes by their task's name without importing anything."
)
NO_THREADS: Final = (
    "{count} threads cannot be started ({cause}):"
    " lower VOICECODE_CONCURRENCY or raise the limit of processes."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What Celery was asked for by command line, environment or configuration."""

    pool: str
    """Name of the pool's module."""
    queues: frozenset[str]
    autoscale: bool
    purge: bool
    beat: bool
    tasks: frozenset[str]
    broker_urls: frozenset[str]
    """Where it reads and writes messages."""
    ledger_url: str
    """The address by VOICECODE_BROKER_URL."""


def refusal(asked: Asked) -> str | None:
    """Return why no worker can be started like this, or None."""
    return next((sentence for look in _LOOKS if (sentence := look(asked))), None)


def asked_level(level: int | None) -> int | None:
    """Return Celery's log level if somebody wrote it: `-l` has a default that nobody asked for."""
    context = click.get_current_context(silent=True)
    source = context.get_parameter_source("loglevel") if context else None
    return level if source in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT} else None


def masked(url: str) -> str:
    """Return an address, or several joined by `;`, without user, password and parameters."""
    return _SECRETS.sub("", url)


def _pool(asked: Asked) -> str | None:
    if asked.pool == "celery.concurrency.thread":
        return None
    return (
        "Only the threads pool places calls: leave out -P and --pool"
        " (the threads of a worker share its components)."
    )


def _queues(asked: Asked) -> str | None:
    if asked.queues == {names.QUEUE}:
        return None
    others = ", ".join(sorted(asked.queues - {names.QUEUE})) or "none"
    return (
        f"This worker is for voice codes only and reads the queue {names.QUEUE}, not {others}:"
        " leave out -Q and -X."
    )


def _autoscale(asked: Asked) -> str | None:
    if not asked.autoscale:
        return None
    return (
        "The number of threads does not change while a worker runs:"
        " leave out --autoscale and set VOICECODE_CONCURRENCY."
    )


def _purge(asked: Asked) -> str | None:
    if not asked.purge:
        return None
    return f"{celery_commands.COMMANDS['purge']} Leave out --purge and --discard."


def _beat(asked: Asked) -> str | None:
    return f"{celery_commands.COMMANDS['beat']} Leave out -B and --beat." if asked.beat else None


def _tasks(asked: Asked) -> str | None:
    others = sorted(
        name
        for name in asked.tasks - {names.SEND_TASK, names.CANCEL_TASK, names.RESUME_TASK}
        if not name.startswith(_CELERYS_OWN)
    )
    if not others:
        return None
    return (
        f"This worker is for voice codes only and would run {', '.join(others)} wrongly:"
        " start another Celery app for other tasks."
    )


def _brokers(asked: Asked) -> str | None:
    others = sorted(asked.broker_urls - {asked.ledger_url})
    if not others:
        return None
    return (
        f"The queue would be in {masked(others[0])} (CELERY_BROKER_URL, CELERY_BROKER_READ_URL or -b)"
        f" and the ledger in {masked(asked.ledger_url)} (VOICECODE_BROKER_URL),"
        " and both must be in one Redis: set VOICECODE_BROKER_URL only."
    )


_LOOKS: Final[tuple[Callable[[Asked], str | None], ...]] = (
    _pool,
    _queues,
    _autoscale,
    _purge,
    _beat,
    _tasks,
    _brokers,
)
