"""Pages: a list of dead letters, a part at a time."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis

from worker.failure_queue.scan import Position
from worker.failure_queue.statuses import ReplayStatus
from worker.ledger.record import Record
from worker.store import keys as redis_keys

Inspect = Callable[[Sequence[str]], Iterable[ReplayStatus]]
"""Tells what a replay of each of these keys would meet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A dead letter in a list. `cursor` continues the list behind it."""

    record: Record
    cursor: str
    status: ReplayStatus
    """What a replay would meet now."""

    @property
    def sendable(self) -> bool:
        """A replay would call it now, without any further option."""
        return self.status is ReplayStatus.SENDABLE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list. `cursor`: where the next one begins, None at the end."""

    entries: tuple[Entry, ...]
    cursor: str | None


def read_page(client: redis.Redis, positions: Iterable[Position], inspect: Inspect, *, limit: int) -> Page:
    """Return the dead letters at the first `limit` positions."""
    taken = list(itertools.islice(positions, limit + 1))
    entries = tuple(
        Entry(
            record=record,
            cursor=_cursor(position),
            status=status,
        )
        for (position, values), status in zip(
            read_records(client, taken[:limit]), inspect([key for _, key in taken[:limit]]), strict=True
        )
        if (record := Record.from_hash(position[1], values)) is not None
    )
    return Page(entries=entries, cursor=_cursor(taken[limit - 1]) if len(taken) > limit else None)


def read_records(client: redis.Redis, positions: Sequence[Position]) -> list[tuple[Position, dict[str, str]]]:
    """Return dead letters with their records as Redis holds them. One round trip."""
    pipe: Any = client.pipeline(transaction=False)
    for _, key in positions:
        pipe.hgetall(redis_keys.record(key))
    return list(zip(positions, pipe.execute(), strict=True))


def position(cursor: str | None) -> Position | None:
    """Return where a cursor points to, None for None. Raises ValueError."""
    if cursor is None:
        return None
    died_at, _, key = cursor.partition(":")
    try:
        return float(died_at), key
    except ValueError:
        message = "this is not a cursor: take the one that the previous list printed"
        raise ValueError(message) from None


def _cursor(position: Position) -> str:
    died_at, key = position
    return f"{died_at!r}:{key}"
