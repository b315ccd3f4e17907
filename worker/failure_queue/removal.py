"""Removal: what takes dead letters out otherwise than by a replay: discard and its undo, purge, spill."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.scan import Position, batched
from worker.store import scripts

BATCH: Final = 20
"""Keys in one script: 1 to 2 ms of the server's time, of the 10 that it may take."""


class Removal:
    """The scripts that take dead letters out, and bring discarded ones back."""

    def __init__(self, client: redis.Redis, settings: Settings, head: list[Any]) -> None:
        self._client: Any = client
        self._settings = settings
        self._head = [*head, names.RECORD_PREFIX]
        self._discard = scripts.load(client, "failure_queue/discard")
        self._undo = scripts.load(client, "failure_queue/undo")
        self._remove = scripts.load(client, "failure_queue/remove")

    def discard(self, keys: Iterable[str], *, run: str, operator: str) -> Iterator[collections.Counter[str]]:
        """Take out what can be brought back; yields the answers of each batch."""
        s = self._settings
        stay_ms = int(max(s.discard_undo_hours * 3600, s.dedup_horizon_seconds) * 1000)
        for batch in batched(keys, BATCH):
            names_ = [names.DEAD, names.AUDIT, _discarded(run)]
            words = self._discard(
                keys=names_, args=[*self._head, run, operator, stay_ms, s.audit_entries, *batch]
            )
            yield collections.Counter(map(scripts.text, words))

    def discarded(self, run: str) -> Iterator[str]:
        """Return the keys that a run of discard took out."""
        yield from (scripts.text(key) for key in self._client.sscan_iter(_discarded(run), count=BATCH))

    def undo(self, keys: Iterable[str], *, run: str, operator: str) -> Iterator[collections.Counter[str]]:
        """Bring discarded ones back; yields the answers of each batch."""
        for batch in batched(keys, BATCH):
            args = [*self._head, run, operator, self._settings.audit_entries, *batch]
            yield collections.Counter(
                map(scripts.text, self._undo(keys=[names.DEAD, names.AUDIT], args=args))
            )

    def remove(self, positions: Sequence[Position], *, run: str, operator: str, action: str) -> list[str]:
        """Delete one batch for good, each only as it was seen; returns the script's words in order."""
        flat = [part for died_at, key in positions for part in (key, repr(died_at))]
        args = [*self._head, run, operator, self._settings.audit_entries, action, *flat]
        return [scripts.text(word) for word in self._remove(keys=[names.DEAD, names.AUDIT], args=args)]

    def purge(self, *, before: float, run: str, operator: str, limit: int | None = None) -> Iterator[int]:
        """Delete what died before a moment (epoch seconds), oldest first; yields how many went with each batch."""
        kept = gone = 0
        while limit is None or gone < limit:
            rows = self._client.zrangebyscore(
                names.DEAD, "-inf", f"({before!r}", kept, BATCH, withscores=True
            )
            if not rows:
                return
            words = self.remove(
                [(died_at, key) for key, died_at in rows], run=run, operator=operator, action="purge"
            )
            kept += sum(word != "removed" for word in words)
            gone += words.count("removed")
            yield words.count("removed")


def _discarded(run: str) -> str:
    return f"{names.DEAD_BY_PREFIX}discarded:{run}"
