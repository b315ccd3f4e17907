"""What may be shown of a number, a code and a secret: a masked number, nothing of the others."""

import base64
import binascii
import json
import re
from typing import Any, Final

REDACTED: Final = "[redacted]"

MOBILE_PATTERN: Final = r"1[3-9][0-9]{9}"
"""A mainland mobile number, bare.

A pattern and no library: `phonenumbers` refuses prefixes in use, such as 149.
"""

_WHOLE_NUMBER: Final = re.compile(MOBILE_PATTERN)
_MASKED: Final = re.compile(r"1[3-9][0-9]\*{4}[0-9]{4}")
_ESCAPE_BEFORE: Final = r"(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\x[0-9a-f]{2})"
"""A digit of an escape sequence is not part of the number after it."""
_MOBILE_IN_TEXT: Final = re.compile(
    rf"((?:(?<![0-9])|{_ESCAPE_BEFORE})(?:(?:\+|00)?86[\s-]*)?)(1[\s-]*[3-9](?:[\s-]*[0-9]){{9}})(?![0-9])"
)
_GROUPED: Final = re.compile(
    r"((?<![0-9])(?:(?:00)?86[._:-]?)?)(1[3-9][0-9][._:-]?[0-9]{4}[._:-]?[0-9]{4})(?![0-9])"
)
"""A number written bare, or in the groups that people write: 138.0013.8000."""
_EXTENDED: Final = re.compile(
    r"((?<![0-9])(?<![0-9]\.)(?!1[7-9][0-9]{11}(?![0-9]))(?:(?:00)?86)?)"
    r"(1[3-9][0-9]{9})(?=(?:[0-9]{1,4}|[0-9]{10,})(?![0-9]))"
)
"""A number with a counter or a time behind it, in one run of digits.

Runs that ids in use consist of are left alone: 13 digits that read as milliseconds of the years
2023 to 2033, and 16 to 20 digits (microseconds, snowflakes, the gateway's ids of calls).
"""
_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}"
_RANDOM_ID: Final = re.compile(rf"{_UUID}|(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{{16,}}")
"""UUIDs and hexadecimal ids: one in some thousands holds eleven digits that look like a number."""
_NO_DIGIT_OR_UUID: Final = re.compile(rf"{_UUID}|[^0-9]")
_NO_DIGIT: Final = re.compile(r"[^0-9]")
_MAY_HOLD_SOMETHING: Final = re.compile(r"1[\s._:-]*[3-9]|[0-9a-f]{32}")
"""Any number or signature begins so. Most texts of a log line do not, and are spared the rest."""
_SIGNATURE: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9a-f]{32}(?![0-9A-Za-z-])")
_HOST_AND_PORT: Final = r"(?://[^\s/'\"]*|\b\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}(?!\d)"
_SHORT_NUMBER: Final = re.compile(
    rf"{_HOST_AND_PORT}"
    rf"|(?:(?<![0-9A-Za-z*])(?<!\d\.)|(?<=\\[nrt])|{_ESCAPE_BEFORE})\d{{4,6}}(?![0-9A-Za-z*]|\.\d)"
)
_PLAIN_NAME: Final = re.compile(r"[a-z][a-z_.-]{0,31}")
"""A name that a program chose. Without digits and capitals it spells neither number nor code."""


def spell_out_controls(text: str, *, keep: str = "") -> str:
    r"""Return `text` with control, format and surrogate characters spelled out: `\x1b`, `\u202e`.

    Escape sequences could rewrite a terminal. Bidirectional marks could show a number or a command
    in another order. Spaces of any width become a space. `keep`: characters that stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _spelled_out(c) for c in text)


def _spelled_out(character: str) -> str:
    return " " if character.isspace() and character > "\x9f" else repr(character)[1:-1]


def is_number(text: str) -> bool:
    """Tell whether a text is a whole mobile number, and not a masked one."""
    return bool(_WHOLE_NUMBER.fullmatch(text))


def mask_mobile(mobile: str) -> str:
    """Return `138****8000` for a number of 11 digits, and `[redacted]` for anything else.

    A masked number stays as it is.
    """
    if is_number(mobile):
        return f"{mobile[:3]}****{mobile[-4:]}"
    if _MASKED.fullmatch(mobile):
        return mobile
    return REDACTED if mobile else ""


def mask_text(text: str) -> str:
    """Return `text` with every mobile number masked and every signature removed."""
    if not _MAY_HOLD_SOMETHING.search(text):
        return text
    for pattern in (_MOBILE_IN_TEXT, _GROUPED, _EXTENDED):
        text = pattern.sub(_masked_number, text)
    return _SIGNATURE.sub(REDACTED, text)


def mask_id(text: str) -> str:
    """Return a key or a task id as it is, or with its number masked where it holds one."""
    return mask_text(text) if holds_mobile(text) else text


def holds_mobile(text: str) -> bool:
    """Tell whether a key, a purpose or an id holds a mobile number: bare, grouped or extended."""
    if not _MAY_HOLD_SOMETHING.search(text):
        return False
    rest = _RANDOM_ID.sub("#", text)
    return bool(_GROUPED.search(rest) or _EXTENDED.search(rest))


def holds_number(text: str, mobile: str) -> bool:
    """Tell whether `text` holds the digits of this number, whatever stands around or between them.

    Where the number is known, this finds what a pattern cannot tell from an order number.
    """
    return mobile in _NO_DIGIT_OR_UUID.sub("", text)


def _masked_number(found: re.Match[str]) -> str:
    return found[1] + mask_mobile(_NO_DIGIT.sub("", found[2]))


def mask_foreign_text(text: str) -> str:
    """Like `mask_text`, for texts that we did not write.

    A free-standing number of 4 to 6 digits may be a code, and is removed. Ports in addresses stay.
    """
    return _SHORT_NUMBER.sub(lambda m: m[0] if ":" in m[0] else "****", mask_text(text))


def mask_raw(text: str) -> str:
    """Return the shape of a message that nobody could understand: its names and types, no values.

    A number and a code can be spelled in too many ways to be masked: base64, escapes, percent
    signs. Of a text that is not JSON only the length is told.
    """
    try:
        return json.dumps(_shape(json.loads(text)), ensure_ascii=False) if text else ""
    except (ValueError, RecursionError):
        return _length(text)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {_shape_of_name(name): _shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_shape(part) for part in value]
    if isinstance(value, str):
        return _shape_of_text(value)
    return value if value is None or isinstance(value, bool) else f"<{type(value).__name__}>"


def _shape_of_text(text: str) -> Any:
    """Look into JSON, and into base64 of JSON: so Celery packs its bodies."""
    for decode in (str.encode, _from_base64):
        try:
            inside = json.loads(decode(text))
        except (ValueError, RecursionError):
            continue
        if isinstance(inside, dict | list):
            return {"inside": _shape(inside)}
    return _shape_of_name(text)


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _shape_of_name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else _length(name)


def _length(text: str) -> str:
    return f"<{len(text):,} characters>"
