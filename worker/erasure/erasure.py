"""Erasure: one run. It may be repeated: what it finds twice it erases once."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.erasure import files, messages
from worker.erasure.person import FIELDS, Person
from worker.failure_queue import audit
from worker.failure_queue.scan import batched
from worker.sealing import seals_of
from worker.store import keys
from worker.store.digests import Digests
from worker.store.scripts import Script, text

_BATCH: Final = 20
_READ: Final = 500
_PASSES: Final = 3
_PAUSE_SECONDS: Final = 0.5
"""Between two passes: a message that a worker had in its hands is a record by then."""

Matches = Callable[[str, dict[str, Any]], bool]
"""Takes a key and fields of its record."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What a run did."""

    run: str
    records: int
    """Records whose number and code are gone."""
    in_call: int
    """Records that are being called: their end erases them."""
    messages: int
    """Messages that no worker had claimed."""
    lines: int
    """Lines of files in the spill directory."""
    newer: int
    """Records of a later version of this program, which were left alone."""
    unsure: int = 0
    """Records and lines with the same masked number: the key that could tell is not here."""

    @property
    def total(self) -> int:
        """Everything that was found."""
        return self.records + self.in_call + self.messages + self.lines + self.newer


class Erasure:
    """Erases a person by number, or one code by key. Raises redis.RedisError and OSError."""

    def __init__(  # noqa: PLR0913 - the parts, and what tests change
        self,
        client: redis.Redis,
        settings: Settings,
        *,
        operator: str,
        run: str,
        clock_offset: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client: Any = client
        self._settings = settings
        self._operator = operator
        self._run = run
        self._offset = clock_offset
        self._sleep = sleep
        self._digests = Digests(client, settings)
        self._erase = Script(client, "erasure/erase", fates=settings.fates)
        self._seen: dict[str, str] = {}
        """Key -> the script's last answer."""

    def number(self, mobile: str) -> Erased:
        """Erase whatever belongs to a number of 11 digits."""
        seals = seals_of(self._settings)
        person = Person(mobile, self._digests, seals)
        concerns = messages.of_number(mobile, seals)
        found = self._everything(lambda: self._records(person.owns), concerns, person.owns)
        prefixes = [names.NUMBER_PREFIX + digest for digest in person.digests]
        self._client.delete(*(name + what for name in prefixes for what in ("", ":day")))
        return dataclasses.replace(found, unsure=len(person.unsure))

    def key(self, key: str) -> Erased:
        """Erase what belongs to one key."""
        return self._everything(lambda: iter([key]), messages.of_key(key), lambda other, _: other == key)

    def _everything(
        self, find: Callable[[], Iterator[str]], concerns: messages.Concerns, matches: Matches
    ) -> Erased:
        removed = 0
        for number in range(_PASSES):
            if number:
                self._sleep(_PAUSE_SECONDS)
            messages_removed = messages.remove_messages(self._client, concerns)
            found = [key for key in find() if self._seen.get(key) != "erased"]
            for batch in batched(found, _BATCH):
                answers = self._erase(
                    [names.DUE, names.EXPIRY, names.DEAD],
                    clock_offset=self._offset,
                    version=names.RECORD_VERSION,
                    record_prefix=names.RECORD_PREFIX,
                    keep_seconds=self._settings.accepted_ttl_seconds,
                    chosen=batch,
                )
                self._seen.update(zip(batch, map(text, answers), strict=True))
            removed += messages_removed
            if not messages_removed and not found:
                break
        directory, seen = self._settings.spill_dir, self._seen
        lines = 0
        if directory is not None:
            lines = files.remove_lines(directory, lambda key, fields: key in seen or matches(key, fields))
        statuses = list(seen.values())
        done = Erased(
            run=self._run,
            records=statuses.count("erased"),
            in_call=statuses.count("marked"),
            messages=removed,
            lines=lines,
            newer=statuses.count("newer"),
        )
        counts = (
            f"{done.records} records, {done.in_call} in call, {done.messages} messages, {done.lines} lines"
        )
        audit.write_line(
            self._client,
            action="erase",
            operator=self._operator,
            run=self._run,
            detail=counts,
            cap=self._settings.audit_entries,
        )
        return done

    def _records(self, matches: Matches) -> Iterator[str]:
        """Read all records. Those that are made meanwhile may be missed; the next pass has them."""
        scanned = self._client.scan_iter(match=f"{names.RECORD_PREFIX}*", count=_READ)
        for batch in batched((name.removeprefix(names.RECORD_PREFIX) for name in scanned), _READ):
            pipe = self._client.pipeline(transaction=False)
            for key in batch:
                pipe.hmget(keys.record(key), FIELDS)
            for key, values in zip(batch, pipe.execute(), strict=True):
                if matches(key, dict(zip(FIELDS, values, strict=True))):
                    yield key
