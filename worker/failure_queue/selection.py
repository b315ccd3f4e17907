"""Selection: which dead letters a filter selects, and what a replay of each would meet now."""

from collections.abc import Iterator, Sequence
from typing import Final

import redis

from config import names
from worker.failure_queue import contents
from worker.failure_queue.filters import Filter
from worker.failure_queue.plan import SENDABLE, Choice
from worker.failure_queue.scan import Position, Scan, batched
from worker.failure_queue.statuses import ReplayStatus, read_statuses
from worker.store.scripts import Script

_INSPECTED: Final = 50
"""Keys in one script."""


class Selection:
    """Reads only. `client` decodes answers. `clock_offset`: for tests."""

    def __init__(self, client: redis.Redis, *, clock_offset: float = 0.0) -> None:
        self._head = {"clock_offset": clock_offset, "version": names.RECORD_VERSION}
        self._client = client
        self._scan = Scan(client)
        self._inspect = Script(client, "failure_queue/inspect")

    def positions(self, wanted: Filter, *, now: float, after: Position | None = None) -> Iterator[Position]:
        """Return what a filter selects, newest death first. `after`: the last position seen."""
        positions = self.candidates(wanted, now=now, after=after)
        if not wanted.sendable:
            yield from positions
            return
        for batch in batched(positions, _INSPECTED):
            statuses = self.inspect([key for _, key in batch])
            for position, status in zip(batch, statuses, strict=True):
                if status is ReplayStatus.SENDABLE:
                    yield position

    def candidates(self, wanted: Filter, *, now: float, after: Position | None = None) -> Iterator[Position]:
        """Return the same, where `sendable` only leaves out what has expired: indexes tell that."""
        if not wanted.looks_inside:
            return self._scan.positions(wanted, now=now, after=after)
        positions = self._scan.positions(wanted, now=now)
        return contents.matching(self._client, positions, wanted, after=after)

    def inspect(self, keys: Sequence[str], choice: Choice = SENDABLE) -> list[ReplayStatus]:
        """Return what a replay of each of these keys would meet now."""
        head = {**self._head, "record_prefix": names.RECORD_PREFIX, **choice.arguments}
        return [
            status
            for batch in batched(keys, _INSPECTED)
            for status in read_statuses(ReplayStatus, self._inspect([names.DEAD], **head, chosen=batch))
        ]
