"""Scan: the keys that a filter selects, newest death first, page by page.

1. Of all the indexes that the filter names, read the one with the fewest members, a page at a time.
2. Of each page, keep the keys that also stand in the other indexes: one ZMSCORE per index.
No single command touches more than a page, and no record is read.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import redis

from config import names
from worker.failure_queue.filters import Filter

Position = tuple[float, str]
"""Time of death and key: where a dead letter stands in the order."""

PAGE: Final = 500
_LARGEST_PAGE: Final = 1_000
_GATHERED: Final = 30_000
"""Up to this many sendable ones are sorted here.

With more, reading all by death soon finds some.
"""
_EXPIRES: Final = names.DEAD_BY_PREFIX + "expires"


class Scan:
    """Reads the failure queue's indexes. `client` decodes answers."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def positions(self, wanted: Filter, *, now: float, after: Position | None = None) -> Iterator[Position]:
        """Return what the filter selects, newest first.

        `now`: epoch seconds; `after`: the last position seen.
        """
        source, left = self._source(wanted, now, after)
        for page in _growing(source):
            yield from self._matching(page, left, sendable_at=now if wanted.sendable else None)

    def _source(
        self, wanted: Filter, now: float, after: Position | None
    ) -> tuple[Iterator[Position], list[tuple[str, ...]]]:
        """Choose the index to read.

        Return its positions, and the groups of indexes that are left to check.
        """
        groups = list(wanted.indexes)
        if wanted.keys:
            return self._in_order(wanted.keys, wanted, after), groups
        low, high = _bounds(wanted)
        pipe = self._client.pipeline(transaction=False)
        for name in itertools.chain(*groups):
            pipe.zcount(names.DEAD_BY_PREFIX + name, low, high)
        pipe.zcount(names.DEAD, low, high)
        pipe.zcount(_EXPIRES, f"({now!r}", "+inf")
        *sizes, everything, sendable = pipe.execute()
        numbers = iter(sizes)
        size, best = min(
            ((sum(next(numbers) for _ in group), group) for group in groups), default=(everything, None)
        )
        if wanted.sendable and sendable <= _GATHERED and sendable < size:
            return self._in_order(self._sendable(now), wanted, after), groups
        if best is None:
            return self._by_death(names.DEAD, wanted, after), groups
        groups.remove(best)
        streams = [self._by_death(names.DEAD_BY_PREFIX + name, wanted, after) for name in best]
        return heapq.merge(*streams, reverse=True), groups

    def _by_death(self, index: str, wanted: Filter, after: Position | None) -> Iterator[Position]:
        """Read an index backwards. Members may leave it while it is read."""
        low, high = _bounds(wanted)
        size = PAGE
        while page := self._page(index, low, high, after, size):
            yield from page
            after = page[-1]
            size = min(size * 2, _LARGEST_PAGE)

    def _page(
        self, index: str, low: float | str, high: float | str, after: Position | None, size: int
    ) -> list[Position]:
        if after is None:
            return _positions(self._client.zrevrangebyscore(index, high, low, 0, size, withscores=True))
        died_at, key = after
        pipe = self._client.pipeline(transaction=False)
        score, rank = pipe.zscore(index, key).zrevrank(index, key).execute()
        if score == died_at:
            page = _positions(self._client.zrevrange(index, rank + 1, rank + size, withscores=True))
            return [position for position in page if position[0] >= float(low)]
        # The key has left the index: go on below its place. Many may have died at the same time.
        for offset in itertools.count(step=size):
            page = _positions(
                self._client.zrevrangebyscore(index, died_at, low, offset, size, withscores=True)
            )
            below = [position for position in page if position < after]
            if below or not page:
                return below
        raise AssertionError

    def _in_order(self, keys: Iterable[str], wanted: Filter, after: Position | None) -> Iterator[Position]:
        """Sort keys by death, newest first, and drop those that are not dead."""
        low, high = (float(bound) for bound in _bounds(wanted))
        found = []
        for chunk in batched(dict.fromkeys(keys), _LARGEST_PAGE):
            scores = self._client.zmscore(names.DEAD, list(chunk))
            found += [
                (score, key)
                for score, key in zip(scores, chunk, strict=True)
                if score is not None and low <= score <= high
            ]
        return (position for position in sorted(found, reverse=True) if after is None or position < after)

    def _sendable(self, now: float) -> Iterator[str]:
        for offset in itertools.count(step=_LARGEST_PAGE):
            page = self._client.zrangebyscore(_EXPIRES, f"({now!r}", "+inf", offset, _LARGEST_PAGE)
            yield from page
            if len(page) < _LARGEST_PAGE:
                return

    def _matching(
        self, page: Sequence[Position], groups: list[tuple[str, ...]], *, sendable_at: float | None
    ) -> list[Position]:
        keys = [key for _, key in page]
        if not keys or (not groups and sendable_at is None):
            return list(page)
        pipe = self._client.pipeline(transaction=False)
        for name in itertools.chain(*groups):
            pipe.zmscore(names.DEAD_BY_PREFIX + name, keys)
        pipe.zmscore(_EXPIRES, keys)
        *members, expiries = pipe.execute()
        rows = iter(members)
        kept = [sendable_at is None or (at is not None and at > sendable_at) for at in expiries]
        for group in groups:
            columns = list(zip(*(next(rows) for _ in group), strict=True))
            kept = [
                keep and any(score is not None for score in column)
                for keep, column in zip(kept, columns, strict=True)
            ]
        return [position for position, keep in zip(page, kept, strict=True) if keep]


def _bounds(wanted: Filter) -> tuple[float | str, float | str]:
    low = "-inf" if wanted.since is None else wanted.since
    return low, "+inf" if wanted.until is None else wanted.until


def _positions(rows: Iterable[tuple[str, float]]) -> list[Position]:
    return [(score, key) for key, score in rows]


def _growing(values: Iterator[Position]) -> Iterator[tuple[Position, ...]]:
    """Return values in growing tuples: the first page comes soon, a long search takes few steps."""
    size = PAGE
    while chunk := tuple(itertools.islice(values, size)):
        yield chunk
        size = min(size * 2, _LARGEST_PAGE)


def batched(values: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Return values in tuples of `size`; the last may be shorter.

    `itertools.batched` came with Python 3.12.
    """
    rest = iter(values)
    while chunk := tuple(itertools.islice(rest, size)):
        yield chunk
