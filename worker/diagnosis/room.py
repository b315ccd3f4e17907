"""Room: what codes take in Redis, and how many a second it has room for."""

import dataclasses
from typing import Final

from config.settings import Settings
from worker.diagnosis.finding import Finding, ok, warn
from worker.diagnosis.overview import Overview

ACCEPTED_BYTES: Final = 550
"""A code with all of its indexes, on Redis 7.0: `benchmarks/memory.py`. So are the next two."""
WAITING_BYTES: Final = 2_800
DEAD_BYTES: Final = 3_800
USABLE: Final = 0.8
"""Of `maxmemory`. The rest is for clients, for the queue, and for a bad night."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much a Redis with `maxmemory` holds beside what waits and what is dead."""

    accepted: int
    """Accepted codes."""
    per_second: float
    """Codes a second, for as long as accepted records are kept."""


def room(max_memory: int, *, waiting: int, dead: int, kept_seconds: float) -> Room:
    """Compute it. `max_memory`: bytes."""
    left = max_memory * USABLE - waiting * WAITING_BYTES - dead * DEAD_BYTES
    accepted = max(0, int(left / ACCEPTED_BYTES))
    return Room(accepted=accepted, per_second=accepted / kept_seconds)


def room_check(settings: Settings, overview: Overview) -> Finding:
    """Tell how many codes a second the running Redis has room for."""
    state = overview.redis
    if not state.max_memory:
        cure = "set maxmemory; docs/operating.md#how-much-memory computes it"
        return warn("redis room", "cannot be told: Redis has no limit", cure)
    calling = overview.calling.count if overview.calling else 0
    unfinished, dead = overview.waiting + calling, overview.dead.total
    found = room(state.max_memory, waiting=unfinished, dead=dead, kept_seconds=settings.accepted_ttl_seconds)
    text = (
        f"{found.accepted:,} accepted codes beside {unfinished:,} unfinished and {dead:,} dead ones:"
        f" {found.per_second:,.1f} a second for {settings.accepted_ttl_seconds / 3600:g} hours"
    )
    if found.per_second < 1:
        cure = "give Redis more, or purge dead letters; docs/operating.md#how-much-memory computes it"
        return warn("redis room", text, cure)
    return ok("redis room", text)
