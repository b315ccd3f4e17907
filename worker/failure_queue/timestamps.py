"""Times as operators write them: `2h30m` (ago), or a date."""

import datetime as dt
import re
from typing import Final

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_AGO: Final = re.compile(rf"(?:{_PART.pattern})+")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")


def seconds(text: str) -> float:
    """Return the seconds of `90s`, `30m`, `2h30m`, `7d` or `1w`. Raises ValueError."""
    if not _AGO.fullmatch(text.strip()):
        message = f"{text!r} is not a duration: write it like 90s, 30m, 2h30m, 7d or 1w"
        raise ValueError(message)
    return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))


def rate(text: str) -> float:
    """Return how many a second `20`, `20/s`, `300/m` or `5000/h` are. Raises ValueError."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        message = f"{text!r} is not a rate: write it like 20, 20/s, 300/m or 5000/h"
        raise ValueError(message)
    if not float(match[1]):
        message = "a rate must be above 0"
        raise ValueError(message)
    return float(match[1]) / _UNITS[match[2] or "s"]


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


def interval(since: float | None, until: float | None) -> str:
    """Return an interval as people read it, with its zone; empty if it has no bound."""
    bounds = ((f"from {iso(since)}" if since else ""), (f"to {iso(until)}" if until else ""))
    return " ".join(bound for bound in bounds if bound)


def duration(seconds_: float) -> str:
    """Return seconds as people read them: `45 s`, `8 min`, `3.5 h`."""
    if seconds_ < 90:  # noqa: PLR2004 - a minute and a half still reads well in seconds
        return f"{seconds_:.0f} s"
    if seconds_ < 2 * _UNITS["h"]:
        return f"{seconds_ / 60:.0f} min"
    return f"{seconds_ / 3600:.1f} h"
