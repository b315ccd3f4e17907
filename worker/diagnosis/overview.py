"""Overview: one look at the whole fleet, in three round trips and without reading all records."""

import base64
import binascii
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.stats import Stats, read_stats
from worker.sending.account import Account
from worker.sending.state import Sending
from worker.store import keys

_LOOKED_AT: Final = 5_000
"""Calls in flight are searched among at most this many codes: more cannot be in flight at once."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Codes in one place. `oldest_seconds`: for how long the oldest has been there, if known."""

    count: int
    oldest_seconds: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process, as its sweeps show it."""

    name: str
    seen_seconds_ago: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RedisState:
    """What a Redis says of itself."""

    version: str
    role: str
    used_memory: int
    """Bytes."""
    max_memory: int
    """Bytes; 0: no limit."""
    policy: str
    persistence: str
    """`aof`, `rdb`, `aof+rdb` or `none`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The fleet at one moment."""

    sending: Sending
    queue: Backlog
    """Messages that no worker has fetched, without hints. They do not say when they were sent."""
    oldest_expires_in: float | None
    """Seconds until the oldest message on the queue expires, if its producer sent `expires_at`."""
    unacked: Backlog
    """Messages that were fetched and are in a worker's hands."""
    due: Backlog
    """Codes whose time has come: a retry, or a call whose worker died."""
    waiting: int
    """Codes that wait for a retry, including those that are due."""
    calling: Backlog
    dead: Stats
    workers: tuple[Worker, ...]
    """Those seen within a day, the latest first."""
    redis: RedisState

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        sending = {**dataclasses.asdict(self.sending), "state": self.sending.state.value}
        return {**dataclasses.asdict(self), "sending": sending}


def read_overview(client: redis.Redis, settings: Settings) -> Overview:
    """Look once. `client` decodes answers. Raises redis.RedisError."""
    connection: Any = client
    seconds, microseconds = connection.time()
    now = seconds + microseconds / 1e6
    pipe = connection.pipeline(transaction=False)
    pipe.llen(names.QUEUE)
    pipe.lindex(names.QUEUE, -1)
    pipe.zcard(names.UNACKED_INDEX)
    pipe.zrange(names.UNACKED_INDEX, 0, 0, withscores=True)
    pipe.zcard(names.DUE)
    pipe.zcount(names.DUE, "-inf", now)
    pipe.zrange(names.DUE, 0, 0, withscores=True)
    pipe.zrangebyscore(names.DUE, now, "+inf", 0, _LOOKED_AT, withscores=True)
    pipe.zrevrange(names.WORKERS, 0, -1, withscores=True)
    queued, last, unacked, fetched, unfinished, due, first, later, workers = pipe.execute()
    started = [lease_until - settings.lease_seconds for _, lease_until in _in_call(connection, later)]
    expires_at = _expires_at(last)
    return Overview(
        sending=Account(client).sending(),
        queue=Backlog(count=queued),
        oldest_expires_in=None if expires_at is None else round(expires_at - now, 1),
        unacked=_backlog(unacked, [moment for _, moment in fetched], now),
        due=_backlog(due, [moment for _, moment in first if due], now),
        waiting=unfinished - len(started),
        calling=_backlog(len(started), started, now),
        dead=read_stats(client, now=now),
        workers=tuple(
            Worker(name=name, seen_seconds_ago=max(0.0, round(now - seen, 1))) for name, seen in workers
        ),
        redis=read_redis(client),
    )


def read_redis(client: redis.Redis) -> RedisState:
    """Ask Redis about itself."""
    connection: Any = client
    info = connection.info("everything")
    kept = [
        kind for kind, there in (("aof", info.get("aof_enabled")), ("rdb", _saves(connection, info))) if there
    ]
    return RedisState(
        version=str(info.get("valkey_version") or info.get("redis_version", "")),
        role=str(info.get("role", "")),
        used_memory=int(info.get("used_memory", 0)),
        max_memory=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        persistence="+".join(kept) or "none",
    )


def _saves(connection: Any, info: dict[str, Any]) -> bool:
    """Tell whether snapshots are taken. Where CONFIG is forbidden, the last snapshot tells."""
    try:
        return bool(connection.config_get("save").get("save"))
    except redis.ResponseError:
        return int(info.get("rdb_saves", 0)) > 0


def _backlog(count: int, since: list[float], now: float) -> Backlog:
    return Backlog(count=count, oldest_seconds=max(0.0, round(now - min(since), 1)) if since else None)


def _in_call(connection: Any, positions: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    pipe = connection.pipeline(transaction=False)
    for key, _ in positions:
        pipe.hget(keys.record(key), "state")
    states = pipe.execute()
    return (position for position, state in zip(positions, states, strict=True) if state == "calling")


def _expires_at(item: str | None) -> float | None:
    """Return what a message says of its end; None where it says nothing that can be read."""
    try:
        message = json.loads(item or "")
        body = message["body"]
        if message["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        expires_at = json.loads(body)[1].get("expires_at")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, binascii.Error):
        return None
    return float(expires_at) if isinstance(expires_at, int | float) else None
