"""Checks of queues and workers: messages that nobody reads, workers that are not there."""

import json
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.diagnosis.finding import Finding, fail, ok, warn
from worker.diagnosis.overview import Overview
from worker.sending.state import State
from worker.store import keys

_CELERYS_OWN: Final = "celery"
"""The queue of a producer that forgets `queue=`."""
_LOOKED_AT: Final = 1_000
_SILENT_SECONDS: Final = 30.0
_LATE_SECONDS: Final = 30.0


def queue_checks(client: redis.Redis, settings: Settings, overview: Overview) -> Iterator[Finding]:
    """Check the queues. Raises redis.RedisError."""
    yield _sending(overview)
    yield _workers(overview)
    yield _backlog(overview, settings)
    yield _forgotten_queue(client)
    yield _lists_beside(client)
    yield _bound(overview, settings)


def _sending(overview: Overview) -> Finding:
    state = overview.sending
    if state.state in {State.STOPPED, State.HELD}:
        why = " ".join(part for part in (state.row, state.note) if part) or "no row is recorded"
        cure = f"see docs/replies.md for {state.row}; then voicecode account resume" if state.row else ""
        return fail("sending", f"{state.state.value}: {why}", cure or "voicecode account resume")
    return ok("sending", state.state.value)


def _workers(overview: Overview) -> Finding:
    alive = [worker for worker in overview.workers if worker.seen_seconds_ago <= _SILENT_SECONDS]
    if not alive:
        text = f"none was seen within {_SILENT_SECONDS:g} s: no code is called"
        return fail("workers", text, "start one: voicecode worker; if one runs, see its log")
    return ok("workers", f"{len(alive)} running")


def _backlog(overview: Overview, settings: Settings) -> Finding:
    text = f"{overview.queue.count:,} on the queue, {overview.due.count:,} due"
    late = overview.due.oldest_seconds or 0.0
    if late > settings.hold_seconds + _LATE_SECONDS:
        cure = "start more workers, or raise VOICECODE_CONCURRENCY; see docs/operating.md#slow-worker"
        return warn("backlog", f"{text}, the oldest for {late:,.0f} s", cure)
    return ok("backlog", text)


def _forgotten_queue(client: redis.Redis) -> Finding:
    found = _of_ours(client, _CELERYS_OWN)
    if found:
        cure = f"the producer must send with queue={names.QUEUE!r}; nobody calls these messages"
        return fail("queue celery", f"{found:,} {names.SEND_TASK} messages are there", cure)
    return ok("queue celery", "holds no voice code")


def _lists_beside(client: redis.Redis) -> Finding:
    connection: Any = client
    read = {names.QUEUE, names.HINTS, *keys.SWEEP}
    lists = connection.scan_iter(match=f"{names.QUEUE}*", count=1_000, _type="list")
    wrong = {name: found for name in lists if name not in read and (found := _of_ours(client, name))}
    if wrong:
        told = ", ".join(f"{count:,} in {name!r}" for name, count in sorted(wrong.items()))
        cure = "the producer must leave out priority_steps and sep, or use kombu's own; see docs/producing.md"
        return fail("lists beside", f"{told}: no worker reads there", cure)
    return ok("lists beside", "no voice code under another separator")


def _bound(overview: Overview, settings: Settings) -> Finding:
    text = f"{overview.dead.total:,} dead letters, {overview.dead.unexpired:,} not expired"
    if overview.dead.total > settings.dead_letters_max and settings.spill_dir is None:
        text += f", more than VOICECODE_DEAD_LETTERS_MAX ({settings.dead_letters_max:,})"
        return warn("failure queue", text, "set VOICECODE_SPILL_DIR, or export and purge")
    return ok("failure queue", text)


def _of_ours(client: redis.Redis, name: str) -> int:
    """Count our messages in a list, among the first of it. A key of another type holds none."""
    connection: Any = client
    try:
        items = connection.lrange(name, 0, _LOOKED_AT - 1)
    except redis.ResponseError:
        return 0
    return sum(_is_ours(item) for item in items)


def _is_ours(item: str) -> bool:
    try:
        return bool(json.loads(item)["headers"]["task"] == names.SEND_TASK)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
