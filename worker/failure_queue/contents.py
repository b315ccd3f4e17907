"""Contents: the conditions of a filter that no index knows, looked up in the records."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import redis

from worker.failure_queue.filters import Filter
from worker.failure_queue.scan import Position, batched
from worker.store import keys as redis_keys

LOOKED_INTO: Final = 10_000
"""Of the newest dead letters that the rest of a filter selects: a second of reading."""
_BATCH: Final = 200


def matching(
    client: redis.Redis, positions: Iterable[Position], wanted: Filter, *, after: Position | None = None
) -> Iterator[Position]:
    """Return those whose records match, in their order.

    `after`: leave out everything up to this one. The bound counts from the newest all the same.
    """
    bounded = itertools.islice(positions, LOOKED_INTO)
    for batch in batched((found for found in bounded if after is None or found < after), _BATCH):
        values = fields(client, [key for _, key in batch], ("purpose", "reply_message", "detail"))
        yield from (
            position for position, known in zip(batch, values, strict=True) if _matches(wanted, *known)
        )


def fields(client: redis.Redis, keys: Sequence[str], names: Sequence[str]) -> list[tuple[str | None, ...]]:
    """Return these fields of each record. One round trip."""
    pipe: Any = client.pipeline(transaction=False)
    for key in keys:
        pipe.hmget(redis_keys.record(key), names)
    return [tuple(values) for values in pipe.execute()]


def _matches(wanted: Filter, purpose: str | None, message: str | None, detail: str | None) -> bool:
    if wanted.purpose is not None and (purpose or "") != wanted.purpose:
        return False
    told = f"{message or ''}\n{detail or ''}".casefold()
    return wanted.text is None or wanted.text.casefold() in told
