"""VoiceCode: what a producer asks to have read out, parsed and checked."""

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from config.masking import MOBILE_PATTERN, holds_mobile, holds_number, mask_mobile
from config.settings import Settings

_KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CODE: Final = re.compile(r"[0-9]{4,6}")
_MOBILE: Final = re.compile(rf"(?:(?:\+|00)?86)?({MOBILE_PATTERN})")
_PURPOSE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_MILLISECONDS: Final = 100_000_000_000.0
"""Epoch seconds reach this in the year 5138; epoch milliseconds passed it in 1973."""


def send_voice_code(
    mobile: str,
    code: str,
    *,
    key: str | None = None,
    expires_at: float | None = None,
    purpose: str | None = None,
) -> tuple[Any, ...]:
    """Have a code read out to a number: the arguments that a producer may send.

    Returns them in this order. To call it binds them in a tenth of the time that `inspect` takes.

    `mobile`: a mainland mobile number. `code`: 4-6 digits, a string. `key`: idempotency key
    (default: the task id). `expires_at`: epoch seconds after which no call starts. `purpose`: such
    as `login`.
    """
    return mobile, code, key, expires_at, purpose


SIGNATURE: Final = inspect.signature(send_voice_code).replace(return_annotation=None)
"""Read once: reading it costs as much as parsing a message."""


class BadInput(Exception):  # noqa: N818 - the glossary's term
    """The message cannot be called. The text says why in plain words, without any of its values."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCode:
    """A code to be read out to a number."""

    key: str
    """Idempotency key."""
    mobile: str = dataclasses.field(repr=False)
    """11 digits."""
    code: str = dataclasses.field(repr=False)
    """4 to 6 digits."""
    expires_at: float | None = None
    """Epoch seconds; None: `VOICECODE_CODE_TTL_SECONDS` after a worker first sees it."""
    purpose: str | None = None
    not_before: float | None = None
    """Epoch seconds: the producer's `eta`."""
    sealed: str = ""
    """Number and code as the producer sealed them; empty if it did not."""

    def log_context(self) -> dict[str, Any]:
        """Return the fields that may be logged."""
        return {"key": self.key, "mobile": mask_mobile(self.mobile), "purpose": self.purpose}


Namer = Callable[[str], str]
"""Returns a keyed digest of a text, of letters and digits."""


def safe_id(task_id: Any, namer: Namer) -> str:
    """Return the task id if it can be a key, else a digest of it: producers may set any id."""
    text = str(task_id)
    return text if is_key(text) else "id:" + namer(text)


def is_key(value: str) -> bool:
    """Return whether a text has the form of a key and holds no mobile number."""
    return has_key_form(value) and not holds_mobile(value)


def has_key_form(value: str) -> bool:
    """Return whether a text has the form of a key: enough for the key of an existing record."""
    return bool(_KEY.fullmatch(value))


def parse(  # noqa: PLR0913 - what each argument is judged by
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    task_id: str,
    namer: Namer,
    settings: Settings,
    now: float | None = None,
    not_before: float | None = None,
    sealed: str = "",
) -> VoiceCode:
    """Bind the arguments to the task's signature, check and normalise each. Raises BadInput.

    `namer`: names a code without a key whose task id cannot be one.
    `now`: epoch seconds, to judge `expires_at`; None: the ledger judges it by Redis' clock.
    """
    try:
        number, code, key, expires_at, purpose = send_voice_code(*args, **kwargs)
    except TypeError as error:
        # Python's text names arguments, never values; hide unexpected names, the producer's own.
        text = str(error).removeprefix("send_voice_code() ")
        reason = "an unexpected keyword argument" if "unexpected keyword" in text else text
        message = f"wrong arguments: {reason}; expected {SIGNATURE}"
        raise BadInput(message) from None
    mobile = normalise_mobile(number)
    return VoiceCode(
        key=_key(key, task_id, mobile, namer),
        mobile=mobile,
        code=check_code(code),
        expires_at=_expires_at(expires_at, now, settings),
        purpose=_purpose(purpose),
        not_before=not_before,
        sealed=sealed,
    )


def normalise_mobile(value: Any) -> str:
    """Return the 11 digits of a mainland mobile number. Raises BadInput.

    The number may be written with +86, 0086 or 86, and with spaces and dashes.
    """
    if not isinstance(value, str):
        message = f"mobile must be a string, not {_type_name(value)}"
        raise BadInput(message)
    found = _MOBILE.fullmatch(re.sub(r"[\s-]", "", value))
    if found is None:
        message = "mobile is not a mainland number: 11 digits that begin with 13 to 19; +86 is allowed"
        raise BadInput(message)
    return found[1]


def check_code(value: Any) -> str:
    """Return a code of 4 to 6 digits as it is. Raises BadInput."""
    if isinstance(value, int) and not isinstance(value, bool):
        message = "code must be a string, not a number: 1234 may have been 01234"
        raise BadInput(message)
    if not isinstance(value, str):
        message = f"code must be a string, not {_type_name(value)}"
        raise BadInput(message)
    if not _CODE.fullmatch(value):
        message = "code must be 4 to 6 digits"
        raise BadInput(message)
    return value


def _key(value: Any, task_id: str, mobile: str, namer: Namer) -> str:
    if value is None:
        key = safe_id(task_id, namer)
        return "id:" + namer(key) if holds_number(key, mobile) else key
    if not isinstance(value, str):
        message = f"key must be a string, not {_type_name(value)}"
        raise BadInput(message)
    if not _KEY.fullmatch(value):
        message = "key must be 1 to 128 of the characters A-Z a-z 0-9 _ . : -"
        raise BadInput(message)
    if not is_key(value) or holds_number(value, mobile):
        message = "key holds a mobile number: keys appear in logs and in Redis, so use something else"
        raise BadInput(message)
    return value


def _expires_at(value: Any, now: float | None, settings: Settings) -> float | None:
    if value is None:
        if settings.require_expires_at:
            message = "expires_at is missing, and VOICECODE_REQUIRE_EXPIRES_AT requires it"
            raise BadInput(message)
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = f"expires_at must be a number of epoch seconds, not {_type_name(value)}"
        raise BadInput(message)
    if not 0 < value < float("inf"):
        message = "expires_at must be a positive number of epoch seconds"
        raise BadInput(message)
    if value >= _MILLISECONDS:
        message = "expires_at is in milliseconds: it must be epoch seconds"
        raise BadInput(message)
    if now is not None and value > now + settings.max_ttl_seconds:
        raise BadInput(too_far("expires_at", settings))
    return float(value)


def too_far(field: str, settings: Settings) -> str:
    """Return the sentence about a time that is too far ahead."""
    return f"{field} is more than VOICECODE_MAX_TTL_SECONDS ({settings.max_ttl_seconds:g}) away"


def _purpose(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _PURPOSE.fullmatch(value) or holds_mobile(value):
        message = "purpose must be 1 to 64 of the characters A-Z a-z 0-9 _ . : - and hold no mobile number"
        raise BadInput(message)
    return value


def _type_name(value: Any) -> str:
    return "null" if value is None else type(value).__name__


RAW_CAP_BYTES: Final = 16_384
"""A dead letter keeps this much of a message that cannot be called, or of an unreadable item."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that cannot be called, as it goes into the failure queue."""

    key: str
    """The producer's key if it has the right form, else the task id."""
    reason: str
    """One sentence without values."""
    mobile: str = dataclasses.field(default="", repr=False)
    """11 digits if the number could be read, else empty."""
    raw: str | bytes = dataclasses.field(default="", repr=False)
    """The arguments as JSON, or an item's bytes, cut to RAW_CAP_BYTES. Never print it unmasked."""


def refuse(args: Sequence[Any], kwargs: Mapping[str, Any], *, own_id: str, reason: str) -> Refused:
    """Describe a message that `parse` refused, with what could be read of it.

    `own_id`: what `safe_id` returned.
    """
    try:
        values: Mapping[str, Any] = SIGNATURE.bind_partial(*args, **kwargs).arguments
    except TypeError:
        values = kwargs
    key = values.get("key")
    try:
        mobile = normalise_mobile(values.get("mobile"))
    except BadInput:
        mobile = ""
    raw = json.dumps([list(args), dict(kwargs)], ensure_ascii=True, default=repr, sort_keys=True)[
        :RAW_CAP_BYTES
    ]
    return Refused(
        key=key if isinstance(key, str) and is_key(key) else own_id,
        reason=reason,
        mobile=mobile,
        raw=raw,
    )
