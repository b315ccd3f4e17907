"""FailureQueue: everything an operator can do, as methods.

The command line calls them; a web page could, too.
"""

import collections
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from config import names
from config.replies import Replies
from config.settings import Settings
from worker.failure_queue import audit, known, pages, stats
from worker.failure_queue.audit import AuditLine
from worker.failure_queue.drain import Drain, estimate
from worker.failure_queue.facets import Facets, read_facets
from worker.failure_queue.files import Files
from worker.failure_queue.filters import Filter
from worker.failure_queue.pages import Page
from worker.failure_queue.plan import Choice, Plan
from worker.failure_queue.removal import Removal
from worker.failure_queue.replay import Pace, Replay
from worker.failure_queue.runs import Runs
from worker.failure_queue.scan import batched
from worker.failure_queue.selection import Selection
from worker.failure_queue.stats import Stats
from worker.failure_queue.statuses import (
    CancelStatus,
    DiscardStatus,
    RemoveStatus,
    ReplayStatus,
    RestoreStatus,
    UndoStatus,
)
from worker.ledger.record import Record
from worker.store import keys as redis_keys

_INSPECTED: Final = 500
_EXPIRES: Final = names.DEAD_BY_PREFIX + "expires"


class FailureQueue:
    """The failure queue.

    Every method may raise redis.RedisError. Those that change the queue write the audit trail.
    What discard, undo, cancel, purge and import return raises RunCancelled if somebody cancels it.

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
        self.removal = Removal(client, settings, clock_offset=clock_offset)
        self.runs = Runs(client, operator=operator, audit_entries=settings.audit_entries)
        self._files = Files(client, settings, self.runs)

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

    def facets(self, wanted: Filter) -> Facets:
        """Count what a filter selects, and of which kinds it is, within a bounded time."""
        positions = self._selection.positions(wanted, now=self.now())
        return read_facets(self.client, wanted, positions, self.stats())

    def plan(
        self, wanted: Filter, choice: Choice, *, looked_at: Callable[[int], None] = lambda _: None
    ) -> Plan:
        """Return what a replay would do, and to which keys.

        Reads only. `looked_at`: told how many it has looked at. Raises ValueError like `replay`.
        """
        choice.check(longest_life_seconds=self.settings.max_ttl_seconds)
        counts: collections.Counter[ReplayStatus] = collections.Counter()
        sendable: list[tuple[float, str]] = []
        now = self.now()
        candidates = (key for _, key in self._selection.candidates(wanted, now=now))
        for batch in batched(candidates, _INSPECTED):
            statuses = self._selection.inspect(batch, choice)
            counts.update(statuses)
            looked_at(counts.total())
            taken = [k for k, status in zip(batch, statuses, strict=True) if status is ReplayStatus.SENDABLE]
            expiries = self._any.zmscore(_EXPIRES, taken) if taken else []
            sendable += [(expires_at or 0.0, key) for key, expires_at in zip(taken, expiries, strict=True)]
        if wanted == Filter(keys=wanted.keys) and len(wanted.keys) > counts.total():
            counts[ReplayStatus.MISSING] += len(set(wanted.keys)) - counts.total()
        sendable.sort()
        life = choice.life_seconds
        return Plan(
            keys=tuple(key for _, key in sendable),
            expiries=tuple(at if life is None else now + life for at, _ in sendable),
            counts=counts,
        )

    def drain(self, plan: Plan, pace: Pace) -> Drain:
        """Return how fast the fleet would call a plan's codes, and how many expire before."""
        now, rate = self.now(), pace.per_second
        return estimate(self.client, self.settings, plan.keys, plan.expiries, now=now, per_second=rate)

    def replay(
        self,
        keys: Sequence[str],
        choice: Choice,
        pace: Pace | None = None,
        *,
        asked: str = "keys",
        **clockwork: Any,
    ) -> Replay:
        """Return a run that puts dead letters back to be called now.

        Iterate to carry it out; `progress` says how far it is. A run may be interrupted and
        repeated. `asked`: the filter, for the record. `clockwork`: `clock` and `sleep`, for tests.
        """
        run = self.new_run()
        arguments = {**self._for_run(run), "record_prefix": names.RECORD_PREFIX, **choice.arguments}
        steps = {"arguments": arguments, "pace": pace or Pace(), "run": run, **clockwork}
        return Replay(self.client, keys, runs=self.runs, asked=f"{asked}; {choice}", **steps)

    def discard(
        self, keys: Iterable[str], *, run: str | None = None, asked: str = "keys"
    ) -> Iterator[collections.Counter[DiscardStatus]]:
        """Take dead letters out of the queue.

        `undo` brings them back for VOICECODE_DISCARD_UNDO_HOURS.
        """
        run = run or self.new_run()
        steps = self.removal.discard(keys, run=run, operator=self.operator)
        return self.runs.recorded(run, "discard", asked, steps)

    def undo(
        self, *, run: str | None = None, keys: Iterable[str] = (), name: str | None = None
    ) -> Iterator[collections.Counter[UndoStatus]]:
        """Bring back what one run of discard took out, or single keys. `name`: of this run."""
        discarded = itertools.chain(keys, self.removal.discarded(run) if run else ())
        own = name or self.new_run()
        steps = self.removal.undo(discarded, run=own, operator=self.operator)
        return self.runs.recorded(own, "undo", f"run {run}" if run else "keys", steps)

    def cancel(self, run: str, *, name: str | None = None) -> Iterator[collections.Counter[CancelStatus]]:
        """End a run before its next batch, and take back what it replayed and nobody has called."""
        self.runs.cancel(run)
        own = name or self.new_run()
        steps = self.removal.cancel(run, by=own, operator=self.operator)
        return self.runs.recorded(own, "cancel", f"run {run}", steps)

    def count_older(self, than_seconds: float) -> int:
        """Return how many dead letters a purge would delete. Raises ValueError like `purge`."""
        return int(
            self._any.zcount(names.DEAD, "-inf", f"({self.removal.before(than_seconds, now=self.now())!r}")
        )

    def purge(self, *, older_than_seconds: float, name: str | None = None) -> Iterator[int]:
        """Delete dead letters for good, oldest first; yields the number of each batch.

        `name`: of this run.

        Raises ValueError for an age at which a late duplicate of the message could still come, and
        would be called as a new code.
        """
        run, before = name or self.new_run(), self.removal.before(older_than_seconds, now=self.now())
        batches = self.removal.purge(before=before, run=run, operator=self.operator)
        steps = (collections.Counter({RemoveStatus.REMOVED: count}) for count in batches)
        recorded = self.runs.recorded(run, "purge", f"older than {older_than_seconds:g} s", steps)
        return (counts[RemoveStatus.REMOVED] for counts in recorded)

    def export(self, path: Path, wanted: Filter, *, unmasked: bool = False, name: str | None = None) -> int:
        """Write dead letters to a new file of JSON lines, newest first, mode 0600; return how many.

        If it ends early, no file is left. `name`: of this run. Raises OSError and RunCancelled.
        """
        positions, run = self._selection.positions(wanted, now=self.now()), name or self.new_run()
        return self._files.export(path, positions, str(wanted), run=run, unmasked=unmasked)

    def import_(self, path: Path, *, name: str | None = None) -> Iterator[collections.Counter[RestoreStatus]]:
        """Bring back dead letters from an unmasked export or a spill file.

        Yields the counts of each batch. A key that Redis knows stays as it is there.
        Raises OSError, and transfer.BadFile before anything is changed.
        """
        run = name or self.new_run()
        steps = self._files.import_(path, now=self.now(), **self._for_run(run))
        return self.runs.recorded(run, "import", path.name, steps)

    def audit(
        self, *, key: str | None = None, run: str | None = None, before: str | None = None
    ) -> Iterator[AuditLine]:
        """Return the audit trail, newest first. `before`: only what is older than that line."""
        return audit.read_trail(self.client, key=key, run=run, before=before)

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
