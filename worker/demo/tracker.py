"""Tracker: what the ledger says of each of the demo's codes."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Final

from config.masking import mask_mobile
from config.replies import ROWS
from worker.ledger import Ledger
from worker.ledger.record import Record
from worker.message import BadInput, normalise_mobile

QUEUED: Final = "queued"
_ATTEMPTS_SHOWN: Final = 3
"""During an outage a code is tried many times, and not every try is worth a line."""
FINAL: Final = frozenset({"accepted", "dead"})
_MEANINGS: Final = {row.name: row.meaning for row in ROWS}


@dataclasses.dataclass(slots=True, kw_only=True)
class TrackedCode:
    """One code: what was sent, and how far it has come. Times are epoch seconds."""

    key: str
    description: str
    mobile: str
    """Masked."""
    sent_at: float
    state: str = QUEUED
    attempts: int = 0
    reply: str = ""
    reason: str = ""
    ambiguous: int = 0
    replays: int = 0
    ended_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def seconds(self) -> float:
        """Seconds from sending to its end, or to now."""
        return max(0.0, (self.ended_at or time.time()) - self.sent_at)

    @property
    def mark(self) -> tuple[str, int, int]:
        """A change of this is worth a line."""
        return self.state, min(self.attempts, _ATTEMPTS_SHOWN), self.replays


class Tracker:
    """All codes that were sent, in their order."""

    def __init__(self, ledger: Ledger) -> None:
        self.codes: list[TrackedCode] = []
        self._ledger = ledger
        self._page_starts = 0

    def add(self, key: str, description: str, mobile: str) -> None:
        """Track a code that is about to be sent."""
        self.codes.append(
            TrackedCode(key=key, description=description, mobile=_masked(mobile), sent_at=time.time())
        )

    def turn_page(self) -> None:
        """Leave out of `page` what has ended so far."""
        self._page_starts = len(self.codes)

    @property
    def page(self) -> list[TrackedCode]:
        """The codes since the page was turned, and earlier ones that have not ended."""
        return [code for n, code in enumerate(self.codes) if n >= self._page_starts or not code.over]

    def look(self) -> list[TrackedCode]:
        """Read every code that is not over, and return those that changed.

        Raises RedisUnavailable.
        """
        return [row for row in self.codes if not row.over and self._update(row)]

    def wake(self, keys: Sequence[str]) -> None:
        """Look again at codes that were over and are replayed now."""
        for row in self.codes:
            if row.key in keys:
                row.state, row.ended_at = "replayed", None

    def _update(self, row: TrackedCode) -> bool:
        before = row.mark
        record = self._ledger.record(row.key)
        if record is not None:
            _take(row, record)
        return row.mark != before


def _take(row: TrackedCode, record: Record) -> None:
    row.state, row.reason, row.replays = record.state, record.reason, record.replays
    row.attempts, row.ambiguous = record.tries, record.ambiguous
    row.reply = _reply(record)
    row.ended_at = (record.accepted_at or record.died_at) if row.over else None


def meaning_of(row: str) -> str:
    """Return what a row of the table means, in a few words."""
    return _MEANINGS.get(row, row)


def _reply(record: Record) -> str:
    """Return the last reply in English: the gateway's own texts are Chinese."""
    if record.detail:
        return record.detail
    if record.state == "accepted":
        return f"{record.reply_code} {_MEANINGS.get(str(record.reply_code), '')}"
    last = next((attempt for attempt in reversed(record.attempts) if attempt.row), None)
    if last is None:
        return "no attempt was made" if record.state == "dead" else ""
    meaning = _MEANINGS.get(last.row, "")
    if last.reply_code is not None:
        return f"{last.reply_code} {meaning}"
    if last.http_status is None:
        return meaning
    return f"HTTP {last.http_status}" + ("" if meaning.startswith("HTTP") else f": {meaning}")


def _masked(mobile: str) -> str:
    try:
        return mask_mobile(normalise_mobile(mobile))
    except BadInput:
        return "no mobile"
