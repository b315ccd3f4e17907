"""Record: what the ledger knows about one code, as a value."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from config.masking import mask_mobile, mask_raw, mask_text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One recorded attempt. Times are epoch seconds."""

    number: int
    started_at: float | None = None
    ended_at: float | None = None
    elapsed_seconds: float | None = None
    row: str = ""
    """Name of the row in the table of replies; empty while the attempt runs."""
    kind: str = ""
    reply_code: int | None = None
    reply_message: str = ""
    http_status: int | None = None
    voice_id: str | None = None
    ambiguous: bool = False
    worker: str = ""
    detail: str = ""

    @classmethod
    def from_json(cls, number: int, text: str) -> "Attempt":
        """Read an entry; fields of a later version are ignored."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls(number=number, detail="unreadable entry")
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{**{name: value for name, value in values.items() if name in known}, "number": number})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A code in any state. Times are epoch seconds, None for what has not happened."""

    key: str
    state: str
    """waiting, calling, accepted or dead."""
    mobile: str = dataclasses.field(default="", repr=False)
    purpose: str = ""
    task_id: str = ""
    first_seen: float | None = None
    expires_at: float | None = None
    next_attempt_at: float | None = None
    accepted_at: float | None = None
    died_at: float | None = None
    discarded_at: float | None = None
    """An operator took it out of the failure queue."""
    reason: str = ""
    detail: str = ""
    """What is wrong with a refused message."""
    row: str = ""
    scope: str = ""
    reply_code: int | None = None
    reply_message: str = ""
    voice_id: str | None = None
    ambiguous: int = 0
    """Attempts, over all lives, after which nobody knows whether the phone rang."""
    deaths: int = 0
    replays: int = 0
    calls: int = 0
    attempts: tuple[Attempt, ...] = ()
    raw: str = dataclasses.field(default="", repr=False)
    sendable: bool = False
    """Whether it holds a number and a code."""

    @classmethod
    def from_hash(cls, key: str, values: Mapping[str, str]) -> "Record | None":
        """Read a record; None if there is none."""
        if "state" not in values:
            return None
        return cls(
            key=key,
            state=values["state"],
            mobile=values.get("mobile", ""),
            purpose=values.get("purpose", ""),
            task_id=values.get("task_id", ""),
            first_seen=_float(values.get("first_seen")),
            expires_at=_float(values.get("expires_at")) or None,
            next_attempt_at=_float(values.get("until")),
            accepted_at=_float(values.get("accepted_at")),
            died_at=_float(values.get("died_at")),
            discarded_at=_float(values.get("discarded_at")),
            reason=values.get("reason", ""),
            detail=values.get("detail", ""),
            row=values.get("row", ""),
            scope=values.get("scope", ""),
            reply_code=int(values["reply_code"]) if values.get("reply_code") else None,
            reply_message=values.get("reply_message", ""),
            voice_id=values.get("voice_id") or None,
            ambiguous=int(values.get("ambiguous_total", 0)),
            deaths=int(values.get("deaths", 0)),
            replays=int(values.get("replays", 0)),
            calls=int(values.get("calls", 0)),
            attempts=_attempts(values),
            raw=values.get("raw", ""),
            sendable=bool(values.get("mobile")) and bool(values.get("code")),
        )

    def shown(self, *, unmasked: bool = False) -> dict[str, Any]:
        """Return what may be shown: no code, the number masked, of raw bytes only their shape."""
        values = dataclasses.asdict(self)
        values["raw"] = self.raw if unmasked else mask_raw(self.raw)
        values["mobile"] = self.mobile if unmasked else mask_mobile(self.mobile)
        values["reply_message"] = mask_text(self.reply_message)
        values["attempts"] = [dataclasses.asdict(attempt) for attempt in self.attempts]
        return values


def _attempts(values: Mapping[str, str]) -> tuple[Attempt, ...]:
    numbered = [
        (int(name.partition(":")[2]), text) for name, text in values.items() if name.startswith("attempt:")
    ]
    return tuple(Attempt.from_json(number, text) for number, text in sorted(numbered))


def _float(text: str | None) -> float | None:
    return float(text) if text else None
