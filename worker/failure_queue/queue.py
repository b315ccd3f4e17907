"""FailureQueue: everything that an operator can do, as methods. The command line calls them, and so may a web page."""

import collections
import dataclasses
import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue import audit, stats, transfer
from worker.failure_queue.audit import AuditLine
from worker.failure_queue.filters import Filter
from worker.failure_queue.plan import Choice, Plan
from worker.failure_queue.removal import BATCH, Removal
from worker.failure_queue.replay import Pace, Replay
from worker.failure_queue.scan import Position, Scan, batched
from worker.failure_queue.stats import Stats
from worker.ledger.record import Record
from worker.store import keys, scripts

_INSPECTED: Final = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A dead letter in a list. `cursor` continues the list behind it."""

    record: Record
    cursor: str
    sendable: bool
    """It holds a number and a code, and has not expired."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list. `cursor`: where the next one begins, None at the end."""

    entries: tuple[Entry, ...]
    cursor: str | None


class FailureQueue:
    """The failure queue. Every method may raise redis.RedisError; those that change it write the audit trail.

    `client` decodes answers; `operator`: who acts; `clock_offset`: seconds added to the server's clock, for tests only.
    """

    def __init__(
        self, client: redis.Redis, settings: Settings, *, operator: str, clock_offset: float = 0.0
    ) -> None:
        self.client = client
        self.operator = operator
        self.settings = settings
        self._any: Any = client
        self._offset = clock_offset
        self._scan = Scan(client)
        self._head: list[Any] = [clock_offset, names.RECORD_VERSION]
        self.removal = Removal(client, settings, self._head)
        self._inspect = scripts.load(client, "failure_queue/inspect")
        self._replay = scripts.load(client, "failure_queue/replay")
        self._restore = scripts.load(client, "failure_queue/restore")

    def now(self) -> float:
        """Return epoch seconds by the server's clock: by it codes expire."""
        seconds, microseconds = self._any.time()
        return float(seconds + microseconds / 1e6 + self._offset)

    def keys(self, wanted: Filter) -> Iterator[str]:
        """Return the keys that a filter means, newest death first, read page by page."""
        return (key for _, key in self._scan.positions(wanted, now=self.now()))

    def page(self, wanted: Filter, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return dead letters, newest first. Raises ValueError for a wrong cursor."""
        now = self.now()
        positions = self._scan.positions(wanted, now=now, after=_position(cursor))
        taken = list(itertools.islice(positions, limit + 1))
        entries = tuple(
            Entry(
                record=record,
                cursor=f"{died_at!r}:{key}",
                sendable=record.sendable and (record.expires_at or 0) > now,
            )
            for (died_at, key), values in self.records(taken[:limit])
            if (record := Record.from_hash(key, values)) is not None
        )
        last = taken[limit - 1] if len(taken) > limit else None
        return Page(entries=entries, cursor=f"{last[0]!r}:{last[1]}" if last else None)

    def show(self, key: str, *, unmasked: bool = False) -> Record | None:
        """Return all that is known of a key, in whatever state it is; None where it is unknown.

        `unmasked`: the caller will show more than masked values; written into the audit trail.
        """
        record = Record.from_hash(key, self._any.hgetall(keys.record(key)))
        if record is not None and unmasked:
            self._note("unmask", self.new_run(), "shown", key=key)
        return record

    def stats(self) -> Stats:
        """Count the queue by reason, code and scope."""
        return stats.read(self.client, now=self.now())

    def plan(self, wanted: Filter, choice: Choice) -> Plan:
        """Tell what a replay would do, and to which keys. Reads only."""
        counts: collections.Counter[str] = collections.Counter()
        sendable: list[str] = []
        for batch in batched(self.keys(wanted), _INSPECTED):
            args = [*self._head, names.RECORD_PREFIX, *choice.arguments, *batch]
            words = [scripts.text(word) for word in self._inspect(keys=[names.DEAD], args=args)]
            counts.update(words)
            sendable += [key for key, word in zip(batch, words, strict=True) if word == "sendable"]
        if wanted == Filter(keys=wanted.keys) and len(wanted.keys) > counts.total():
            counts["missing"] += len(set(wanted.keys)) - counts.total()
        return Plan(keys=tuple(sendable), counts=+counts)

    def replay(
        self, keys_: Sequence[str], choice: Choice, pace: Pace | None = None, **clockwork: Any
    ) -> Replay:
        """Return a run that puts dead letters back to be called now: iterate to carry it out, `progress` tells how far it is.

        Safe to break off and to repeat. `clockwork`: `clock` and `sleep`, for tests.
        """
        run = self.new_run()
        arguments = [
            *self._head,
            names.RECORD_PREFIX,
            run,
            self.operator,
            *choice.arguments,
            self.settings.audit_entries,
        ]

        def note(action: str, detail: str) -> None:
            self._note(action, run, f"{detail}; {choice}" if action == "begin" else detail)

        steps = {"arguments": arguments, "note": note, "pace": pace or Pace(), "run": run, **clockwork}
        return Replay(self.client, self._replay, keys_, **steps)

    def discard(self, keys_: Iterable[str], *, run: str | None = None) -> Iterator[collections.Counter[str]]:
        """Take dead letters out of the queue; `undo` brings them back for VOICECODE_DISCARD_UNDO_HOURS."""
        return self.removal.discard(keys_, run=run or self.new_run(), operator=self.operator)

    def undo(
        self, *, run: str | None = None, keys_: Iterable[str] = ()
    ) -> Iterator[collections.Counter[str]]:
        """Bring back what one run of discard took out, or single keys."""
        chosen = itertools.chain(keys_, self.removal.discarded(run) if run else ())
        return self.removal.undo(chosen, run=self.new_run(), operator=self.operator)

    def count_older(self, than_seconds: float) -> int:
        """Return how many dead letters a purge would delete. Raises ValueError like `purge`."""
        return int(self._any.zcount(names.DEAD, "-inf", f"({self._before(than_seconds)!r}"))

    def purge(self, *, older_than_seconds: float) -> Iterator[int]:
        """Delete dead letters for good, oldest first; yields how many with each batch.

        Raises ValueError for an age at which a late duplicate of the message could still come and be taken for a new code.
        """
        return self.removal.purge(
            before=self._before(older_than_seconds), run=self.new_run(), operator=self.operator
        )

    def export(self, path: Path, wanted: Filter, *, unmasked: bool = False) -> int:
        """Write dead letters to a new file of JSON lines with mode 0600, newest first; return how many. Raises OSError."""
        count = 0
        with transfer.create(path) as file:
            if unmasked:
                self._note("unmask", self.new_run(), f"export of {wanted}")
            for batch in batched(self._scan.positions(wanted, now=self.now()), BATCH):
                for (_, key), values in self.records(batch):
                    record = Record.from_hash(key, values)
                    if record is not None and record.state == "dead":
                        file.write(
                            transfer.full_line(key, values) if unmasked else transfer.masked_line(record)
                        )
                        count += 1
            transfer.settle(file, path)
        return count

    def import_(self, path: Path) -> Iterator[collections.Counter[str]]:
        """Bring back dead letters from an unmasked export or a spill file; yields the answers of each batch.

        A key that is known in Redis stays as it is there. Raises transfer.BadLine before anything is changed, and OSError.
        """
        run = self.new_run()
        for batch in batched(transfer.read(path), BATCH):
            pipe = self._any.pipeline(transaction=False)
            for key, values in batch:
                fields = [part for pair in values.items() for part in pair]
                args = [*self._head, key, run, self.operator, self.settings.audit_entries, *fields]
                self._restore(keys=[keys.record(key), names.DEAD, names.AUDIT], args=args, client=pipe)
            yield collections.Counter(scripts.text(answer[0]) for answer in pipe.execute())

    def audit(self, *, key: str | None = None, run: str | None = None) -> Iterator[AuditLine]:
        """Return the audit trail, newest first."""
        return audit.read(self.client, key=key, run=run)

    def records(self, positions: Sequence[Position]) -> list[tuple[Position, dict[str, str]]]:
        """Return the records of dead letters as they stand in Redis, one round trip."""
        pipe = self._any.pipeline(transaction=False)
        for _, key in positions:
            pipe.hgetall(keys.record(key))
        return list(zip(positions, pipe.execute(), strict=True))

    def _before(self, older_than_seconds: float) -> float:
        least = self.settings.dedup_horizon_seconds
        if older_than_seconds < least:
            message = f"nothing younger than {least:g} s can be purged: a late duplicate of its message would be called again"
            raise ValueError(message)
        return self.now() - older_than_seconds

    def _note(self, action: str, run: str, detail: str, *, key: str = "") -> None:
        cap = self.settings.audit_entries
        audit.write(
            self.client, action=action, operator=self.operator, run=run, detail=detail, key=key, cap=cap
        )

    @staticmethod
    def new_run() -> str:
        """Return a name for one run, under which its lines stand in the audit trail."""
        return secrets.token_hex(6)


def _position(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    died_at, _, key = cursor.partition(":")
    try:
        return float(died_at), key
    except ValueError:
        message = "this is no cursor: take the one that the list before it printed"
        raise ValueError(message) from None
