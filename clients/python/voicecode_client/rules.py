"""What a code must look like: the worker's rules, in the worker's words.

The worker's own tests hold this file against `config/masking.py` and `worker/message.py`.
"""

import re
from typing import Any, Final, NoReturn

KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
CODE: Final = re.compile(r"[0-9]{4,6}")
MOBILE: Final = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
PURPOSE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
GROUPED: Final = re.compile(
    r"((?<![0-9])(?:(?:00)?86[._:-]?)?)(1[3-9][0-9][._:-]?[0-9]{4}[._:-]?[0-9]{4})(?![0-9])"
)
EXTENDED: Final = re.compile(
    r"((?<![0-9])(?<![0-9]\.)(?!1[7-9][0-9]{11}(?![0-9]))(?:(?:00)?86)?)"
    r"(1[3-9][0-9]{9})(?=(?:[0-9]{1,4}|[0-9]{10,})(?![0-9]))"
)
UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}"
RANDOM_ID: Final = re.compile(rf"{UUID}|(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{{16,}}")
NO_DIGIT_OR_UUID: Final = re.compile(rf"{UUID}|[^0-9]")
CONFLICT: Final = "the key is known with another number or code: every code needs a key of its own"


class BadInput(ValueError):  # noqa: N818 - the glossary's term
    """The code cannot be called. The text says why, without any of its values."""


def mobile(value: Any) -> str:
    """Return the 11 digits of a mainland mobile number. Raises BadInput."""
    if found := MOBILE.fullmatch(re.sub(r"[\s-]", "", _text("mobile", value))):
        return str(found[1])
    return _refuse("mobile is not a mainland number: 11 digits that begin with 13 to 19; +86 is allowed")


def code(value: Any) -> str:
    """Return a code of 4 to 6 digits. Raises BadInput."""
    if isinstance(value, int) and not isinstance(value, bool):
        _refuse("code must be a string, not a number: 1234 may have been 01234")
    return str(value) if CODE.fullmatch(_text("code", value)) else _refuse("code must be 4 to 6 digits")


def key(value: Any, digits: str = "") -> str:
    """Return a key that holds neither `digits`, the code's number, nor another one."""
    if not KEY.fullmatch(_text("key", value)):
        _refuse("key must be 1 to 128 of the characters A-Z a-z 0-9 _ . : -")
    if holds_mobile(value) or (digits and digits in NO_DIGIT_OR_UUID.sub("", value)):
        _refuse("key holds a mobile number: keys appear in logs and in Redis, so use something else")
    return str(value)


def purpose(value: Any) -> str | None:
    """Return a purpose such as `login`, or None. Raises BadInput."""
    if value is None or (isinstance(value, str) and PURPOSE.fullmatch(value) and not holds_mobile(value)):
        return value
    return _refuse("purpose must be 1 to 64 of the characters A-Z a-z 0-9 _ . : - and hold no mobile number")


def life(value: Any, max_seconds: float) -> float:
    """Return a life in seconds. Raises BadInput."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(f"expires_in must be a number of seconds, not {_type_name(value)}")
    if not value > 0:
        _refuse("expires_in must be a positive number of seconds")
    if value > max_seconds:
        _refuse(f"expires_at is more than VOICECODE_MAX_TTL_SECONDS ({max_seconds:g}) away")
    return float(value)


def holds_mobile(text: str) -> bool:
    """Tell whether a key or a purpose holds a mobile number: bare, grouped or extended."""
    return any(pattern.search(RANDOM_ID.sub("#", text)) for pattern in (GROUPED, EXTENDED))


def _text(name: str, value: Any) -> str:
    return value if isinstance(value, str) else _refuse(f"{name} must be a string, not {_type_name(value)}")


def _type_name(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _refuse(why: str) -> NoReturn:
    raise BadInput(why)
