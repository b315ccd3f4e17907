"""Files: dead letters written to a file, and read back from one."""

import collections
import contextlib
import functools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import redis

from config import names
from config.settings import Settings
from worker.failure_queue import imported, transfer
from worker.failure_queue.pages import read_records
from worker.failure_queue.removal import BATCH
from worker.failure_queue.runs import Runs
from worker.failure_queue.scan import Position, batched
from worker.failure_queue.statuses import RestoreStatus, tally
from worker.ledger.record import Record
from worker.store import keys as redis_keys
from worker.store.digests import Digests
from worker.store.scripts import Script


class Files:
    """`client` decodes answers."""

    def __init__(self, client: redis.Redis, settings: Settings, runs: Runs) -> None:
        self._client: Any = client
        self._settings = settings
        self._runs = runs
        self._digests = Digests(client, settings)
        self._restore = Script(client, "failure_queue/restore")

    def export(
        self, path: Path, positions: Iterable[Position], asked: str, *, run: str, unmasked: bool
    ) -> int:
        """Write dead letters to a new file, and return how many. If it ends early, no file is left.

        Raises OSError and RunCancelled.
        """
        note = f"export of {asked}" if unmasked else ""
        steps = self._write(path, positions, run=run, unmasks=note)
        recorded = self._runs.recorded(run, "export", asked + " unmasked" * unmasked, steps)
        with contextlib.closing(recorded), contextlib.closing(steps):
            return sum(counts["exported"] for counts in recorded)

    def _write(
        self, path: Path, positions: Iterable[Position], *, run: str, unmasks: str
    ) -> Generator[collections.Counter[str], None, None]:
        """Yield the count of each batch. `unmasks`: the audit trail's note about it, or nothing."""
        with transfer.created(path) as file:
            if unmasks:
                self._runs.line("unmask", run, unmasks)
            for batch in batched(positions, BATCH):
                count = 0
                for (_, key), values in read_records(self._client, batch):
                    record = Record.from_hash(key, values)
                    if record is not None and record.state == "dead":
                        file.write(
                            transfer.full_line(key, values) if unmasks else transfer.masked_line(record)
                        )
                        count += 1
                yield collections.Counter(exported=count)
            transfer.settle(file, path)

    def import_(
        self, path: Path, *, now: float, **arguments: Any
    ) -> Iterator[collections.Counter[RestoreStatus]]:
        """Bring dead letters back; yields the counts of each batch.

        `arguments`: those of `restore.lua`, without key and fields.
        """
        checked = functools.partial(imported.check, now=now, settings=self._settings)
        for batch in batched(transfer.read_dead_letters(path, checked), BATCH):
            pipe = self._client.pipeline(transaction=False)
            for key, values in batch:
                if values is not None:
                    renewed = imported.with_digests(values, self._digests)
                    fields = [part for pair in renewed.items() for part in pair]
                    touched = [redis_keys.record(key), names.DEAD, names.AUDIT]
                    self._restore.queue(pipe, touched, **arguments, key=key, fields=fields)
            counts = tally(RestoreStatus, pipe.execute())
            counts[RestoreStatus.LEFT_OUT] += sum(values is None for _, values in batch)
            yield counts
