"""Checks of Redis itself: version, role, memory, persistence, eviction, clock, scripts."""

import re
import time
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

import redis

from worker.diagnosis.finding import Finding, fail, ok, warn
from worker.diagnosis.overview import RedisState, read_redis
from worker.store import scripts

_OLDEST: Final = (6, 2)
_NEARLY_FULL: Final = 0.8
_FULL: Final = 0.95
_CLOCK_SECONDS: Final = 2.0
_INCLUDE: Final = re.compile(r"^-- @include ([a-z_/]+)$", re.MULTILINE)


def redis_checks(client: redis.Redis) -> Iterator[Finding]:
    """Check a Redis that answers. Raises redis.RedisError."""
    state = read_redis(client)
    yield _version(state)
    yield _role(client, state)
    yield _memory(state)
    yield _eviction(state)
    yield _persistence(state)
    yield _clock(client)
    yield _scripts(client)


def _version(state: RedisState) -> Finding:
    found = tuple(int(part) for part in re.findall(r"[0-9]+", state.version)[:2])
    if found < _OLDEST:
        return fail(
            "redis version", f"{state.version} is older than 6.2", "use Redis 6.2 or later, or Valkey"
        )
    return ok("redis version", state.version)


def _role(client: redis.Redis, state: RedisState) -> Finding:
    connection: Any = client
    if connection.info("cluster").get("cluster_enabled"):
        cure = "use a single Redis, with replicas and Sentinel if it must not fail"
        return fail("redis role", "this is a Redis Cluster, which Celery cannot use", cure)
    if state.role != "master":
        cure = "point VOICECODE_BROKER_URL at the master, or at the sentinels by sentinel://"
        return fail("redis role", f"this is a {state.role}: it takes no writes", cure)
    return ok("redis role", state.role)


def _memory(state: RedisState) -> Finding:
    used = f"{state.used_memory / 1e6:,.0f} MB used"
    if not state.max_memory:
        cure = "set maxmemory below the machine's memory: a Redis that the kernel kills loses more"
        return warn("redis memory", f"{used}, no limit", cure)
    share = state.used_memory / state.max_memory
    text = f"{used} of {state.max_memory / 1e6:,.0f} MB"
    cure = "give it more, or purge: voicecode dead export --to FILE, voicecode dead purge --older-than 7d"
    if share >= _FULL:
        return fail("redis memory", f"{text}: no call starts in a full Redis", cure)
    return warn("redis memory", text, cure) if share >= _NEARLY_FULL else ok("redis memory", text)


def _eviction(state: RedisState) -> Finding:
    if state.policy != "noeviction":
        text = f"{state.policy}: a full Redis would throw away records of calls"
        return fail("redis eviction", text, "set maxmemory-policy noeviction")
    return ok("redis eviction", state.policy)


def _persistence(state: RedisState) -> Finding:
    cure = "set appendonly yes, appendfsync everysec"
    if state.persistence == "none":
        return fail("redis persistence", "none: a restart loses every code and every record", cure)
    if "aof" not in state.persistence:
        return warn("redis persistence", "snapshots only: a crash loses minutes", cure)
    return ok("redis persistence", state.persistence)


def _clock(client: redis.Redis) -> Finding:
    connection: Any = client
    before = time.time()
    seconds, microseconds = connection.time()
    after = time.time()
    behind = seconds + microseconds / 1e6 - (before + after) / 2
    if abs(behind) > _CLOCK_SECONDS + (after - before) / 2:
        text = f"this machine's clock is {abs(behind):.1f} s {'behind' if behind > 0 else 'ahead of'} Redis'"
        return warn(
            "clock, redis", text, "let both keep time by NTP: Redis' clock judges a producer's expires_at"
        )
    return ok("clock, redis", f"within {abs(behind):.1f} s of Redis'")


def _scripts(client: redis.Redis) -> Finding:
    connection: Any = client
    wrong = []
    names = every_script()
    for name in names:
        try:
            connection.script_load(scripts.source(name))
        except redis.ResponseError as error:
            wrong.append(f"{name} ({error})")
    if wrong:
        cure = "allow this user SCRIPT and EVALSHA; if it may, this Redis lacks the Lua that voicecode needs"
        return fail("scripts", f"cannot be loaded: {', '.join(wrong)}", cure)
    return ok("scripts", f"all {len(names)} can be loaded")


def every_script() -> list[str]:
    """Return the names of all scripts, without the files that only others include."""
    root = resources.files("worker")
    files = [
        f"{room.name}/{file.name.removesuffix('.lua')}"
        for room in root.iterdir()
        if room.is_dir()
        for file in room.iterdir()
        if file.name.endswith(".lua")
    ]
    included = {name for file in files for name in _INCLUDE.findall(scripts.read_file(file))}
    return sorted(set(files) - included)
