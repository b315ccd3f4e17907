"""Overview: one look at the whole fleet, in a few round trips and without reading all records."""

import base64
import binascii
import dataclasses
import json
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.stats import Stats, read_stats
from worker.sending.account import Account, WorkerSeen
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
    calling: Backlog | None
    """None without a look into the records."""
    dead: Stats
    workers: tuple[Worker, ...]
    """Those seen within a day, the latest first."""
    reports: tuple[WorkerSeen, ...]
    """What the workers of the last minute say of themselves, by name."""
    balance: int | None
    """Calls left when the gateway was last asked; None if nobody has asked."""
    balance_asked_at: float | None
    """Epoch seconds."""
    redis: RedisState

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        sending = {**dataclasses.asdict(self.sending), "state": self.sending.state.value}
        return {**dataclasses.asdict(self), "sending": sending}


def read_overview(client: redis.Redis, settings: Settings, *, contents: bool = True) -> Overview:
    """Look once. `client` decodes answers. Raises redis.RedisError.

    `contents`: look into messages and records, which a Redis user for metrics may not.
    """
    connection: Any = client
    seconds, microseconds = connection.time()
    now = seconds + microseconds / 1e6
    pipe = connection.pipeline(transaction=False)
    pipe.llen(names.QUEUE)
    pipe.zcard(names.UNACKED_INDEX)
    pipe.zrange(names.UNACKED_INDEX, 0, 0, withscores=True)
    pipe.zcard(names.DUE)
    pipe.zcount(names.DUE, "-inf", now)
    pipe.zrange(names.DUE, 0, 0, withscores=True)
    pipe.zrangebyscore(names.DUE, now, "+inf", 0, _LOOKED_AT, withscores=True)
    pipe.zrevrange(names.WORKERS, 0, -1, withscores=True)
    queued, unacked, fetched, unfinished, due, first, later, workers = pipe.execute()
    calling = _calling(connection, later, settings.lease_seconds, now) if contents else None
    expires_at = _expires_at(connection.lindex(names.QUEUE, -1)) if contents else None
    account = Account(client)
    balance, asked_at = account.balance() or (None, None)
    return Overview(
        sending=account.sending(),
        queue=Backlog(count=queued),
        oldest_expires_in=None if expires_at is None else round(expires_at - now, 1),
        unacked=_backlog(unacked, [moment for _, moment in fetched], now),
        due=_backlog(due, [moment for _, moment in first if due], now),
        waiting=unfinished - (calling.count if calling else 0),
        calling=calling,
        dead=read_stats(client, now=now),
        workers=tuple(
            Worker(name=name, seen_seconds_ago=max(0.0, round(now - seen, 1))) for name, seen in workers
        ),
        reports=account.workers(),
        balance=balance,
        balance_asked_at=asked_at,
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


def _calling(
    connection: Any, positions: list[tuple[str, float]], lease_seconds: float, now: float
) -> Backlog:
    """Find the calls among codes whose time has not come: theirs is the end of a lease."""
    pipe = connection.pipeline(transaction=False)
    for key, _ in positions:
        pipe.hget(keys.record(key), "state")
    states = pipe.execute()
    started = [
        lease_until - lease_seconds
        for (_, lease_until), state in zip(positions, states, strict=True)
        if state == "calling"
    ]
    return _backlog(len(started), started, now)


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
