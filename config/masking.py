"""What may be shown of a number, a code and a secret: a masked number, nothing of the others."""

import re
from typing import Final

REDACTED: Final = "[redacted]"

MOBILE_PATTERN: Final = r"1[3-9][0-9]{9}"
"""A mainland mobile number, bare.

A pattern and no library: `phonenumbers` refuses prefixes in use, such as 149.
"""

_ESCAPE_BEFORE: Final = r"(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\x[0-9a-f]{2})"
"""A digit that belongs to an escape sequence is no part of the number behind it."""
_MOBILE_IN_TEXT: Final = re.compile(
    rf"((?:(?<![0-9])|{_ESCAPE_BEFORE})(?:(?:\+|00)?86[\s-]*)?)(1[\s-]*[3-9](?:[\s-]*[0-9]){{9}})(?![0-9])"
)
_BETWEEN_DIGITS: Final = re.compile(r"[\s-]")
_SIGNATURE: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9a-f]{32}(?![0-9A-Za-z-])")
_HOST_AND_PORT: Final = r"(?://[^\s/'\"]*|\b\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}(?!\d)"
_SHORT_NUMBER: Final = re.compile(
    rf"{_HOST_AND_PORT}"
    rf"|(?:(?<![0-9A-Za-z*])(?<!\d\.)|(?<=\\[nrt])|{_ESCAPE_BEFORE})\d{{4,6}}(?![0-9A-Za-z*]|\.\d)"
)
_DIGITS: Final = re.compile(r"\d{4,}")


def mask_mobile(mobile: str) -> str:
    """Return `138****8000` for a number of 11 digits, and `[redacted]` for anything else."""
    if re.fullmatch(MOBILE_PATTERN, mobile):
        return f"{mobile[:3]}****{mobile[-4:]}"
    return REDACTED if mobile else ""


def mask_text(text: str) -> str:
    """Return `text` with every mobile number masked and every signature removed."""
    text = _MOBILE_IN_TEXT.sub(lambda m: m[1] + mask_mobile(_BETWEEN_DIGITS.sub("", m[2])), text)
    return _SIGNATURE.sub(REDACTED, text)


def mask_foreign_text(text: str) -> str:
    """Like `mask_text`, for texts that we did not write.

    A free-standing number of 4 to 6 digits may be a code, and is removed. Ports in addresses stay.
    """
    return _SHORT_NUMBER.sub(lambda m: m[0] if ":" in m[0] else "****", mask_text(text))


def mask_digits(text: str) -> str:
    """Return `text` without its runs of four or more digits: for bytes that nobody could parse."""
    return _DIGITS.sub("****", text)
