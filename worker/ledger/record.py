"""Record: what the ledger knows about one code, as a value."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from config.masking import is_number, mask_mobile, mask_raw, mask_text

UNREADABLE: Final = "unreadable entry"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


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
        """Read an entry. Fields of a later version, and values of a wrong type, are left out.

        An entry that cannot be read at all has `UNREADABLE` for its detail.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            return cls(number=number, detail=UNREADABLE)
        known = {name: value for name, value in values.items() if _fits(name, value)}
        return cls(number=number, **known)


_ATTEMPT_TYPES: Final[dict[str, Any]] = {
    "started_at": (int, float),
    "ended_at": (int, float),
    "elapsed_seconds": (int, float),
    "row": str,
    "kind": str,
    "reply_code": int,
    "reply_message": str,
    "http_status": int,
    "voice_id": str,
    "ambiguous": bool,
    "worker": str,
    "detail": str,
}


def _fits(name: str, value: Any) -> bool:
    fits = isinstance(value, _ATTEMPT_TYPES.get(name, ()))
    return fits and not (isinstance(value, float) and not math.isfinite(value))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A code in any state. Times are epoch seconds, None for what has not happened."""

    key: str
    state: str
    """waiting, calling, accepted, dead or cancelled."""
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
    erased_at: float | None = None
    """Somebody erased its person; what is left recognises a late duplicate."""
    retired_at: float | None = None
    """Its code was taken out, because nobody may need it any more."""
    reason: str = ""
    detail: str = ""
    """What is wrong with a refused message."""
    row: str = ""
    scope: str = ""
    reply_code: int | None = None
    reply_message: str = ""
    voice_id: str | None = None
    unsubmitted: bool = False
    """It became a dead letter without a submission, because sending had stopped."""
    ambiguous: int = 0
    """Attempts, over all lives, after which nobody knows whether the phone rang."""
    deaths: int = 0
    replays: int = 0
    calls: int = 0
    tries: int = 0
    """Attempts, over all lives."""
    attempts: tuple[Attempt, ...] = ()
    """Each of them; none once the code is accepted."""
    raw: str = dataclasses.field(default="", repr=False)
    sendable: bool = False
    """Whether it holds a number and a code."""
    broken: tuple[str, ...] = ()
    """Fields that do not hold what they should. They are read as absent."""

    @classmethod
    def from_hash(cls, key: str, values: Mapping[str, str]) -> "Record | None":
        """Read a record; None if there is none. What cannot be read is named in `broken`."""
        if "state" not in values:
            return None
        read = _Reader(values)
        return cls(
            key=key,
            state=values["state"],
            mobile=values.get("mobile", ""),
            purpose=values.get("purpose", ""),
            task_id=values.get("task_id", ""),
            first_seen=read.time("first_seen"),
            expires_at=read.time("expires_at") or None,
            next_attempt_at=read.time("until"),
            accepted_at=read.time("accepted_at"),
            died_at=read.time("died_at"),
            discarded_at=read.time("discarded_at"),
            retired_at=read.time("retired_at"),
            erased_at=read.time("erased_at"),
            reason=values.get("reason", ""),
            detail=values.get("detail", ""),
            row=values.get("row", ""),
            scope=values.get("scope", ""),
            reply_code=read.integer("reply_code"),
            reply_message=values.get("reply_message", ""),
            voice_id=values.get("voice_id") or None,
            unsubmitted=bool(values.get("unsubmitted")),
            ambiguous=read.integer("ambiguous_total") or 0,
            deaths=read.integer("deaths") or 0,
            replays=read.integer("replays") or 0,
            calls=read.integer("calls") or 0,
            tries=read.integer("attempt") or 0,
            attempts=read.attempts(),
            raw=values.get("raw", ""),
            sendable=_is_held(values),
            broken=tuple(read.broken),
        )

    def shown(self, *, unmasked: bool = False) -> dict[str, Any]:
        """Return what may be shown: no code, the number masked, of raw bytes only their shape."""
        values = dataclasses.asdict(self)
        values["raw"] = self.raw if unmasked else mask_raw(self.raw)
        values["mobile"] = self.mobile if unmasked else mask_mobile(self.mobile)
        for texts in (values, *values["attempts"]):
            for name in texts.keys() & {"reply_message", "detail", "worker"}:
                texts[name] = mask_text(texts[name])
        return values


def _is_held(values: Mapping[str, str]) -> bool:
    plain = is_number(values.get("mobile", "")) and bool(values.get("code"))
    return plain or bool(values.get("sealed"))


class _Reader:
    """Reads fields of a hash, and remembers the broken ones.

    A record may come from a file, or from a person who edited Redis. A broken one must not hide the
    others in a list.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.broken: list[str] = []
        self._values = values

    def time(self, name: str) -> float | None:
        """Return epoch seconds, or None."""
        text = self._values.get(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        self.broken.append(name)
        return None

    def integer(self, name: str) -> int | None:
        """Return an integer, or None."""
        text = self._values.get(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            self.broken.append(name)
            return None

    def attempts(self) -> tuple[Attempt, ...]:
        """Return the attempts, sorted by number."""
        found = []
        for name, text in self._values.items():
            if not name.startswith("attempt:"):
                continue
            number = name.removeprefix("attempt:")
            attempt = Attempt.from_json(int(number) if _NUMBER.fullmatch(number) else 0, text)
            found.append(attempt)
            if attempt.detail == UNREADABLE or not attempt.number:
                self.broken.append(name)
        return tuple(sorted(found, key=lambda attempt: attempt.number))
