"""FailureQueue: everything an operator can do, as methods.

The command line calls them; a web page could, too.
"""

import collections
import functools
import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from config import names
from config.replies import Replies
from config.settings import Settings
from worker.failure_queue import audit, imported, known, pages, stats, transfer
from worker.failure_queue.audit import AuditLine
from worker.failure_queue.filters import Filter
from worker.failure_queue.pages import Page, read_records
from worker.failure_queue.plan import Choice, Plan
from worker.failure_queue.removal import BATCH, Removal
from worker.failure_queue.replay import Pace, Replay
from worker.failure_queue.scan import batched
from worker.failure_queue.selection import Selection
from worker.failure_queue.stats import Stats
from worker.failure_queue.statuses import (
    DiscardStatus,
    ReplayStatus,
    RestoreStatus,
    UndoStatus,
    tally,
)
from worker.ledger.record import Record
from worker.store import keys as redis_keys
from worker.store.digests import Digests
from worker.store.scripts import Script

_INSPECTED: Final = 500


class FailureQueue:
    """The failure queue.

    Every method may raise redis.RedisError. Those that change the queue write the audit trail.

    `client` decodes answers. `operator`: who acts. `clock_offset`: seconds added to the server's
    clock, for tests only.
    """

    def __init__(
        self, client: redis.Redis, settings: Settings, *, operator: str, clock_offset: float = 0.0
    ) -> None:
        self.client = client
        self.operator = operator
        self.settings = settings
        self._any: Any = client
        self._offset = clock_offset
        self._selection = Selection(client, clock_offset=clock_offset)
        self._digests = Digests(client, settings)
        self.removal = Removal(client, settings, clock_offset=clock_offset)
        self._restore = Script(client, "failure_queue/restore")

    def now(self) -> float:
        """Return epoch seconds by the server's clock, which decides what has expired."""
        seconds, microseconds = self._any.time()
        return float(seconds + microseconds / 1e6 + self._offset)

    def check(self, wanted: Filter) -> None:
        """Raise ValueError if the filter names a reason, reply code or scope that nobody knows."""
        if wanted.reason is not None or wanted.codes or wanted.scope is not None:
            known.check(wanted, self.stats(), Replies(self.settings.reply_overrides))

    def keys(self, wanted: Filter) -> Iterator[str]:
        """Return the keys that a filter selects, newest death first. They are read page by page."""
        return (key for _, key in self._selection.positions(wanted, now=self.now()))

    def page(self, wanted: Filter, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return dead letters, newest first. Raises ValueError for a wrong cursor."""
        positions = self._selection.positions(wanted, now=self.now(), after=pages.position(cursor))
        return pages.read_page(self.client, positions, self._selection.inspect, limit=limit)

    def show(self, key: str, *, unmasked: bool = False) -> Record | None:
        """Return all that is known of a key, in any state; None if Redis knows no such key.

        `unmasked`: the caller is going to show values in full. The audit trail gets a line about
        it.
        """
        record = Record.from_hash(key, self._any.hgetall(redis_keys.record(key)))
        if record is not None and unmasked:
            self._note("unmask", self.new_run(), "shown", key=key)
        return record

    def stats(self) -> Stats:
        """Count the queue by reason, code and scope."""
        return stats.read_stats(self.client, now=self.now())

    def plan(self, wanted: Filter, choice: Choice) -> Plan:
        """Return what a replay would do, and to which keys.

        Reads only. Raises ValueError like `replay`.
        """
        self._check_life(choice)
        counts: collections.Counter[ReplayStatus] = collections.Counter()
        sendable: list[str] = []
        candidates = (key for _, key in self._selection.candidates(wanted, now=self.now()))
        for batch in batched(candidates, _INSPECTED):
            statuses = self._selection.inspect(batch, choice)
            counts.update(statuses)
            sendable += [
                key for key, status in zip(batch, statuses, strict=True) if status is ReplayStatus.SENDABLE
            ]
        if wanted == Filter(keys=wanted.keys) and len(wanted.keys) > counts.total():
            counts[ReplayStatus.MISSING] += len(set(wanted.keys)) - counts.total()
        return Plan(keys=tuple(sendable), counts=counts)

    def replay(
        self, keys: Sequence[str], choice: Choice, pace: Pace | None = None, **clockwork: Any
    ) -> Replay:
        """Return a run that puts dead letters back to be called now.

        Iterate to carry it out; `progress` says how far it is. A run may be interrupted and
        repeated. `clockwork`: `clock` and `sleep`, for tests.
        """
        run = self.new_run()
        arguments = {**self._for_run(run), "record_prefix": names.RECORD_PREFIX, **choice.arguments}

        def note(action: str, detail: str) -> None:
            self._note(action, run, f"{detail}; {choice}" if action == "begin" else detail)

        steps = {"arguments": arguments, "note": note, "pace": pace or Pace(), "run": run, **clockwork}
        return Replay(self.client, keys, **steps)

    def discard(
        self, keys: Iterable[str], *, run: str | None = None
    ) -> Iterator[collections.Counter[DiscardStatus]]:
        """Take dead letters out of the queue.

        `undo` brings them back for VOICECODE_DISCARD_UNDO_HOURS.
        """
        return self.removal.discard(keys, run=run or self.new_run(), operator=self.operator)

    def undo(
        self, *, run: str | None = None, keys: Iterable[str] = ()
    ) -> Iterator[collections.Counter[UndoStatus]]:
        """Bring back what one run of discard took out, or single keys."""
        discarded = itertools.chain(keys, self.removal.discarded(run) if run else ())
        return self.removal.undo(discarded, run=self.new_run(), operator=self.operator)

    def count_older(self, than_seconds: float) -> int:
        """Return how many dead letters a purge would delete. Raises ValueError like `purge`."""
        return int(self._any.zcount(names.DEAD, "-inf", f"({self._before(than_seconds)!r}"))

    def purge(self, *, older_than_seconds: float) -> Iterator[int]:
        """Delete dead letters for good, oldest first; yields the number of each batch.

        Raises ValueError for an age at which a late duplicate of the message could still come, and
        would be called as a new code.
        """
        return self.removal.purge(
            before=self._before(older_than_seconds), run=self.new_run(), operator=self.operator
        )

    def export(self, path: Path, wanted: Filter, *, unmasked: bool = False) -> int:
        """Write dead letters to a new file of JSON lines, newest first, mode 0600.

        Return how many. Raises OSError.
        """
        count = 0
        with transfer.created(path) as file:
            if unmasked:
                self._note("unmask", self.new_run(), f"export of {wanted}")
            for batch in batched(self._selection.positions(wanted, now=self.now()), BATCH):
                for (_, key), values in read_records(self.client, batch):
                    record = Record.from_hash(key, values)
                    if record is not None and record.state == "dead":
                        file.write(
                            transfer.full_line(key, values) if unmasked else transfer.masked_line(record)
                        )
                        count += 1
            transfer.settle(file, path)
        return count

    def import_(self, path: Path) -> Iterator[collections.Counter[RestoreStatus]]:
        """Bring back dead letters from an unmasked export or a spill file.

        Yields the counts of each batch. A key that Redis knows stays as it is there.
        Raises OSError, and transfer.BadFile before anything is changed.
        """
        arguments = self._for_run(self.new_run())
        checked = functools.partial(imported.check, now=self.now(), settings=self.settings)
        for batch in batched(transfer.read_dead_letters(path, checked), BATCH):
            pipe = self._any.pipeline(transaction=False)
            for key, values in batch:
                if values is not None:
                    renewed = imported.with_digests(values, self._digests)
                    fields = [part for pair in renewed.items() for part in pair]
                    touched = [redis_keys.record(key), names.DEAD, names.AUDIT]
                    self._restore.queue(pipe, touched, **arguments, key=key, fields=fields)
            counts = tally(RestoreStatus, pipe.execute())
            counts[RestoreStatus.LEFT_OUT] += sum(values is None for _, values in batch)
            yield counts

    def audit(self, *, key: str | None = None, run: str | None = None) -> Iterator[AuditLine]:
        """Return the audit trail, newest first."""
        return audit.read_trail(self.client, key=key, run=run)

    def _check_life(self, choice: Choice) -> None:
        longest = self.settings.max_ttl_seconds
        if choice.life_seconds is not None and choice.life_seconds > longest:
            message = f"a new life is at most VOICECODE_MAX_TTL_SECONDS long ({longest:g} s)"
            raise ValueError(message)

    def _before(self, older_than_seconds: float) -> float:
        least = self.settings.dedup_horizon_seconds
        if older_than_seconds < least:
            message = (
                f"nothing younger than {least:g} s can be purged: "
                "a late duplicate of its message would be called as a new code"
            )
            raise ValueError(message)
        return self.now() - older_than_seconds

    def _note(self, action: str, run: str, detail: str, *, key: str = "") -> None:
        line = {"action": action, "operator": self.operator, "run": run, "detail": detail, "key": key}
        audit.write_line(self.client, **line, cap=self.settings.audit_entries)

    @property
    def _head(self) -> dict[str, Any]:
        """Arguments that every script takes."""
        return {"clock_offset": self._offset, "version": names.RECORD_VERSION}

    def _for_run(self, run: str) -> dict[str, Any]:
        """Return the arguments of a script that writes the audit trail."""
        entries = self.settings.audit_entries
        return {**self._head, "run": run, "operator": self.operator, "audit_entries": entries}

    @staticmethod
    def new_run() -> str:
        """Return a name for one run; the audit trail has it in each of the run's lines."""
        return secrets.token_hex(6)
