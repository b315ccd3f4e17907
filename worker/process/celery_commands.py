"""Celery's own commands: those that would show something untrue here say so, and name ours."""

from typing import Final

import click

_EVENTS: Final = "Workers that were started with -E send task events; read them with the address alone:"
_NO_EVENTS: Final = (
    "A worker sends task events if it was started with -E, and `voicecode exporter` needs none."
)
COMMANDS: Final = {
    "events": f"{_EVENTS} `celery --broker=$VOICECODE_BROKER_URL events`.",
    "flower": f"{_EVENTS} `celery --broker=$VOICECODE_BROKER_URL flower`.",
    "migrate": "A message is only half of a code; its record in Redis is the other half:"
    " move both with Redis' own replication (REPLICAOF).",
    "purge": "Purging the queue would lose codes without a trace. `voicecode account hold` stops sending."
    " Codes that expire meanwhile become dead letters by themselves.",
    "result": "No results are kept for voice codes. `voicecode status KEY` shows what became of one.",
    "beat": "Nothing here runs on a schedule; retries and upkeep are the workers' own.",
    "graph": "It draws Celery's own parts. `voicecode status` shows the workers.",
    "amqp": "The broker is Redis, and this command speaks AMQP. `voicecode status` shows the queue.",
}
"""Commands of `celery -A worker` that have no meaning here, each with a sentence."""

_THREADS: Final = "The number of threads does not change while a worker runs: set VOICECODE_CONCURRENCY."
_QUEUES: Final = "A voice worker reads one queue. `voicecode account hold` stops sending."
_REVOKE: Final = (
    "A code is withdrawn by its key, not by task id: `voicecode cancel KEY`."
    " `voicecode account hold` stops all sending."
)
_MEMORY: Final = "Voice workers do not dump their memory: it holds numbers and codes."
_SETTINGS: Final = "`voicecode settings` shows what is in force, without secrets."
_ELECTION: Final = "Voice workers elect nobody; Redis decides."
REMOTE: Final = {
    "enable_events": _NO_EVENTS,
    "disable_events": _NO_EVENTS,
    "heartbeat": f"{_NO_EVENTS} `voicecode-health` tells whether a worker lives.",
    "pool_grow": _THREADS,
    "pool_shrink": _THREADS,
    "pool_restart": "Restart a worker by SIGTERM; its service starts it again.",
    "autoscale": _THREADS,
    "add_consumer": _QUEUES,
    "cancel_consumer": _QUEUES,
    "rate_limit": "Rates are settings: VOICECODE_NUMBER_PER_MINUTE, VOICECODE_CALLS_PER_HOUR"
    " and VOICECODE_CONCURRENCY.",
    "time_limit": "An attempt's time is a setting: VOICECODE_ATTEMPT_DEADLINE_SECONDS.",
    "revoke": _REVOKE,
    "revoke_by_stamped_headers": _REVOKE,
    "revoked": _REVOKE,
    "terminate": _REVOKE,
    "scheduled": "Retries wait in Redis, not in a worker. `voicecode status` counts them.",
    "conf": _SETTINGS,
    "report": _SETTINGS,
    "objgraph": _MEMORY,
    "memsample": _MEMORY,
    "memdump": _MEMORY,
    "election": _ELECTION,
    "hello": _ELECTION,
}
"""Commands of `celery inspect` and `celery control` that have no meaning here."""

OFF: Final = (
    "Remote control is off: set VOICECODE_REMOTE_CONTROL=true for the workers and here."
    " Without it, use `voicecode status`."
)


def refusal() -> str | None:
    """Return why the command that runs now makes no sense for voice codes, or None."""
    context = click.get_current_context(silent=True)
    while context is not None:
        if context.info_name in {"celery", "python -m celery"} and context.invoked_subcommand:
            return COMMANDS.get(context.invoked_subcommand)
        context = context.parent
    return None
