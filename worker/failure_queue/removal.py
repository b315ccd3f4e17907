"""Removal: the ways out of the failure queue besides replay: discard and its undo, purge, spill."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.runs import replayed_by
from worker.failure_queue.scan import Position, batched
from worker.failure_queue.statuses import (
    CancelStatus,
    DiscardStatus,
    RemoveStatus,
    UndoStatus,
    read_statuses,
    tally,
)
from worker.store import scripts
from worker.store.scripts import Script

BATCH: Final = 20
"""Keys in one script: 1 to 2 ms of the server's time, of the 10 that a script may take."""


class Removal:
    """The scripts that take dead letters out, and that bring discarded ones back."""

    def __init__(self, client: redis.Redis, settings: Settings, *, clock_offset: float = 0.0) -> None:
        self.clock_offset = clock_offset
        self._client: Any = client
        self._settings = settings
        self._discard = Script(client, "failure_queue/discard")
        self._cancel = Script(client, "failure_queue/cancel")
        self._undo = Script(client, "failure_queue/undo")
        self._remove = Script(client, "failure_queue/remove")

    def discard(
        self, keys: Iterable[str], *, run: str, operator: str
    ) -> Iterator[collections.Counter[DiscardStatus]]:
        """Take dead letters out, to be brought back if need be; yields the counts of each batch."""
        s = self._settings
        keep_seconds = max(s.discard_undo_hours * 3600, s.dedup_horizon_seconds)
        for batch in batched(keys, BATCH):
            answers = self._discard(
                [names.DEAD, names.AUDIT, _discarded(run)],
                **self._common(run, operator),
                keep_milliseconds=int(keep_seconds * 1000),
                chosen=batch,
            )
            yield tally(DiscardStatus, answers)

    def discarded(self, run: str) -> Iterator[str]:
        """Return the keys that a run of discard took out."""
        yield from (scripts.text(key) for key in self._client.sscan_iter(_discarded(run), count=BATCH))

    def count_discarded(self, run: str) -> int:
        """Return how many keys a run of discard took out."""
        return int(self._client.scard(_discarded(run)))

    def cancel(self, run: str, *, by: str, operator: str) -> Iterator[collections.Counter[CancelStatus]]:
        """Take back what a run replayed and nobody has called; yields the counts of each batch."""
        replayed = replayed_by(run)
        touched = [names.DUE, names.EXPIRY, names.DEAD, names.AUDIT, replayed]
        found = [scripts.text(key) for key in self._client.sscan_iter(replayed, count=BATCH)]
        for batch in batched(found, BATCH):
            common = self._common(by, operator)
            yield tally(CancelStatus, self._cancel(touched, **common, cancelled_run=run, chosen=batch))

    def undo(
        self, keys: Iterable[str], *, run: str, operator: str
    ) -> Iterator[collections.Counter[UndoStatus]]:
        """Bring discarded ones back; yields the counts of each batch."""
        for batch in batched(keys, BATCH):
            answers = self._undo([names.DEAD, names.AUDIT], **self._common(run, operator), chosen=batch)
            yield tally(UndoStatus, answers)

    def remove(
        self, positions: Sequence[Position], *, run: str, operator: str, action: str
    ) -> list[RemoveStatus]:
        """Delete one batch for good, each only as it was seen; returns the statuses in order."""
        seen = [part for died_at, key in positions for part in (key, repr(died_at))]
        answers = self._remove(
            [names.DEAD, names.AUDIT], **self._common(run, operator), action=action, seen=seen
        )
        return read_statuses(RemoveStatus, answers)

    def before(self, older_than_seconds: float, *, now: float) -> float:
        """Return the death before which a purge deletes. Raises ValueError for too young an age."""
        least = self._settings.dedup_horizon_seconds
        if older_than_seconds < least:
            message = (
                f"nothing younger than {least:g} s can be purged: "
                "a late duplicate of its message would be called as a new code"
            )
            raise ValueError(message)
        return now - older_than_seconds

    def purge(self, *, before: float, run: str, operator: str, limit: int | None = None) -> Iterator[int]:
        """Delete what died before a time (epoch seconds), oldest first.

        Yields the number of each batch.
        """
        kept = removed = 0
        while limit is None or removed < limit:
            rows = self._client.zrangebyscore(
                names.DEAD, "-inf", f"({before!r}", kept, BATCH, withscores=True
            )
            if not rows:
                return
            positions = [(died_at, key) for key, died_at in rows]
            statuses = self.remove(positions, run=run, operator=operator, action="purge")
            count = statuses.count(RemoveStatus.REMOVED)
            kept += len(statuses) - count
            removed += count
            yield count

    def _common(self, run: str, operator: str) -> dict[str, Any]:
        """Return the arguments that all three scripts take."""
        return {
            "clock_offset": self.clock_offset,
            "version": names.RECORD_VERSION,
            "record_prefix": names.RECORD_PREFIX,
            "run": run,
            "operator": operator,
            "audit_entries": self._settings.audit_entries,
        }


def _discarded(run: str) -> str:
    return f"{names.DEAD_BY_PREFIX}discarded:{run}"
