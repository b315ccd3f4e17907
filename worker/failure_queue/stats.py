"""Stats: the failure queue at a glance. The scripts keep the counters; no record is read."""

import dataclasses
from typing import Any

import redis

from config import names


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts of dead letters.

    `oldest` and `newest` are epoch seconds of death, None in an empty queue.
    """

    total: int
    oldest: float | None
    newest: float | None
    distinct_numbers: int
    """Exact."""
    unexpired: int
    """Some of them are not sendable: replaced by a newer code, perhaps rung, or unreadable."""
    expired: int
    ambiguous: int
    """The phone may have rung."""
    by_reason: dict[str, int]
    """Most frequent first, as in the next two."""
    by_code: dict[str, int]
    """By reply code or symptom: rows in the table of replies; `none`: no attempt was made."""
    by_scope: dict[str, int]


def read_stats(client: redis.Redis, *, now: float) -> Stats:
    """Count. `now`: epoch seconds."""
    pipe: Any = client.pipeline(transaction=False)
    pipe.zcard(names.DEAD)
    pipe.zrange(names.DEAD, 0, 0, withscores=True)
    pipe.zrevrange(names.DEAD, 0, 0, withscores=True)
    pipe.hgetall(names.DEAD_BY_PREFIX + "counts")
    pipe.zcount(names.DEAD_BY_PREFIX + "expires", f"({now!r}", "+inf")
    total, oldest, newest, counts, unexpired = pipe.execute()
    return Stats(
        total=total,
        oldest=oldest[0][1] if oldest else None,
        newest=newest[0][1] if newest else None,
        distinct_numbers=int(counts.get("numbers", 0)),
        unexpired=unexpired,
        expired=total - unexpired,
        ambiguous=int(counts.get("ambiguous:yes", 0)),
        by_reason=_of(counts, "reason:"),
        by_code=_of(counts, "code:"),
        by_scope=_of(counts, "scope:"),
    )


def _of(counts: dict[str, str], prefix: str) -> dict[str, int]:
    found = {
        name.removeprefix(prefix): int(count) for name, count in counts.items() if name.startswith(prefix)
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
