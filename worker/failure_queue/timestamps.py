"""Times as operators write them: `2h` (ago), or a date."""

import datetime as dt
import re
from typing import Final

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds(text: str) -> float:
    """Return the seconds of `90s`, `30m`, `2h` or `7d`. Raises ValueError."""
    match = _AGO.fullmatch(text.strip())
    if not match:
        message = f"{text!r} is not a duration: write it like 90s, 30m, 2h or 7d"
        raise ValueError(message)
    return float(match[1]) * _UNITS[match[2]]


def moment(text: str, *, now: float) -> float:
    """Return `2h` (ago) or an ISO date and time as epoch seconds. Raises ValueError.

    A date without a zone is in this machine's zone.
    """
    if _AGO.fullmatch(text.strip()):
        return now - seconds(text)
    try:
        return dt.datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        message = f"{text!r} is not a time: write it like 2h (ago), 2026-01-31 or 2026-01-31T03:00+08:00"
        raise ValueError(message) from None


def iso(epoch_seconds: float | None) -> str:
    """Return a time as `2026-01-31T03:00:00+08:00` in this machine's zone, empty for None.

    A time that no calendar has is returned as its seconds.
    """
    if epoch_seconds is None:
        return ""
    try:
        return dt.datetime.fromtimestamp(epoch_seconds).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, or not a number
        return f"{epoch_seconds:g} s"
