"""Imported: a record from a file passes the checks that a message passes, and more, field by field.

A file may have been edited, or written by somebody else. Without these checks it would be a back
door: what it holds is replayed and called, and one wrong field could hide every other dead letter.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from config import names
from config.masking import MOBILE_PATTERN, holds_mobile, is_number
from config.settings import Settings
from worker.ledger.record import UNREADABLE, Attempt
from worker.message import BadInput, is_key, parse
from worker.store.digests import Digests

_SLACK_SECONDS: Final = 60.0
"""A record may have died this much later than now: it may come from a Redis with another clock."""
_LONGEST: Final = 200_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ATTEMPT: Final = re.compile(r"attempt:[1-9][0-9]{0,8}")

_TIME: Final = (re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,6})?"), "epoch seconds")
_COUNT: Final = (re.compile(r"[0-9]{1,9}"), "a count")
_ROW: Final = (re.compile(r"[a-z0-9_]{0,64}"), "a name of a row or a scope")
_ID: Final = (re.compile(r"[A-Za-z0-9_.:-]{0,128}"), "an id of at most 128 characters")

FORMS: Final = {
    "v": _COUNT,
    "state": (re.compile("dead"), "dead"),
    "mobile": (
        re.compile(rf"(?:{MOBILE_PATTERN}|1[3-9][0-9]\*{{4}}[0-9]{{4}})?"),
        "a mainland mobile number",
    ),
    "code": (re.compile(r"(?:[0-9]{4,6})?"), "4 to 6 digits"),
    "purpose": (re.compile(r"[A-Za-z0-9_.:-]{0,64}"), "a purpose of at most 64 characters"),
    "reason": (re.compile(r"[a-z_]{1,32}"), "a reason"),
    "row": _ROW,
    "scope": _ROW,
    "reply_code": (re.compile(r"(?:-?[0-9]{1,9})?"), "a reply code"),
    "streak": (re.compile(r"(?:[a-z]{1,16}:[0-9]{1,9})?"), "what the last tries spent"),
    "spent": (re.compile(r"[a-z0-9_ ]{0,512}"), "names of rows"),
    "sealed": (
        re.compile(r"(?:[A-Za-z0-9-]{1,32}\.(?:[0-9]{1,12}\.)?[A-Za-z0-9_-]{64,1000})?"),
        "a sealed pair",
    ),
    "number": (re.compile(r"(?:[0-9a-f.]{1,64} ?){0,2}"), "a digest of a number"),
    "trace": (re.compile(r"(?:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?"), "a traceparent"),
    **dict.fromkeys(
        ("first_seen", "expires_at", "died_at", "discarded_at", "accepted_at", "until", "retired_at"), _TIME
    ),
    **dict.fromkeys(
        (
            "attempt",
            "life",
            "ambiguous",
            "ambiguous_total",
            "ambiguous_from",
            "deaths",
            "replays",
            "calls",
            "began",
            "turned_away",
        ),
        _COUNT,
    ),
    **dict.fromkeys(("task_id", "token", "act", "digest", "voice_id"), _ID),
}
"""What a field must look like.

One that is not listed may hold any text: a later version wrote it.
"""
_REQUIRED: Final = ("v", "state", "died_at", "expires_at", "reason")


def with_digests(record: Mapping[str, str], digests: Digests) -> dict[str, str]:
    """Return a checked record as this version writes it, with digests under the keys of today."""
    values = {**record, "v": str(names.RECORD_VERSION)}
    mobile, code, raw = (values.get(name, "") for name in ("mobile", "code", "raw"))
    if is_number(mobile):
        values["number"] = digests.number(mobile)
    if is_number(mobile) and code:
        values["digest"] = digests.content(mobile, code).partition(" ")[0]
    elif raw:
        values["digest"] = digests.raw(raw).partition(" ")[0]
    elif "." not in values.get("digest", ""):
        values["digest"] = ""  # version 0.1.0 made it without a key
    return values


class BadRecord(Exception):  # noqa: N818 - a fact about a file
    """A record cannot be imported.

    The text names the field and what it must be, without its value.
    """


def check(key: Any, record: Mapping[str, Any], *, now: float, settings: Settings) -> None:
    """Check one dead letter. `now`: epoch seconds. Raises BadRecord."""
    for name in _REQUIRED:
        if not record.get(name):
            message = f"{name} is missing"
            raise BadRecord(message)
    for name, value in record.items():
        _check_field(name, value)
    if int(record["v"]) > names.RECORD_VERSION:
        message = "a later version of this program wrote it"
        raise BadRecord(message)
    if float(record["died_at"]) > now + _SLACK_SECONDS:
        message = "died_at is in the future"
        raise BadRecord(message)
    for name in ("purpose", "task_id"):
        if holds_mobile(record.get(name, "")):
            message = f"{name} holds a mobile number"
            raise BadRecord(message)
    _check_as_message(key, record, now, settings)


def _check_field(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > _LONGEST:
        message = f"{name} must be a text of at most {_LONGEST:,} characters"
    elif _ATTEMPT.fullmatch(name):
        if Attempt.from_json(1, value).detail != UNREADABLE:
            return
        message = f"{name} must be a JSON object"
    elif not _NAME.fullmatch(name):
        message = "a field has a name that no version of this program gave it"
    else:
        form, meaning = FORMS.get(name, (None, ""))
        if form is None or form.fullmatch(value):
            return
        message = f"{name} must be {meaning}"
    raise BadRecord(message)


def _check_as_message(key: Any, record: Mapping[str, str], now: float, settings: Settings) -> None:
    """Send it through the checks that a message passes.

    A record without a number or a code is never called.
    """
    mobile, code = record.get("mobile"), record.get("code")
    if not (mobile and code):
        if not isinstance(key, str) or not is_key(key):
            message = "key must have the form of a key, and hold no mobile number"
            raise BadRecord(message)
        return
    more = {"key": key, "purpose": record.get("purpose") or None, "expires_at": float(record["expires_at"])}
    try:
        parse([mobile, code], more, task_id="", namer=str, now=now, settings=settings)
    except BadInput as error:
        raise BadRecord(str(error)) from None
