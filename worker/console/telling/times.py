"""Times: in the viewer's zone, with UTC beside it."""

import datetime as dt
import functools
import zoneinfo
from typing import Final

ZONES: Final = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Europe/Moscow",
    "Europe/Berlin",
    "Europe/London",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Australia/Sydney",
)
"""Those that the page offers; the script reports any other one."""


@functools.lru_cache(maxsize=256)
def zone(name: str) -> dt.tzinfo:
    """Return the zone of this name, UTC if there is none."""
    try:
        return zoneinfo.ZoneInfo(name[:64]) if name else dt.UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def name_of(found: dt.tzinfo) -> str:
    """Return a zone's name."""
    return found.key if isinstance(found, zoneinfo.ZoneInfo) else "UTC"


def moment(epoch_seconds: float, found: dt.tzinfo) -> str:
    """Return `2026-01-31 03:12:07`; the seconds themselves where no calendar has the time."""
    try:
        return dt.datetime.fromtimestamp(epoch_seconds, found).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{epoch_seconds:g} s"


def utc(epoch_seconds: float) -> str:
    """Return `2026-01-30T19:12:07Z`, empty where no calendar has the time."""
    try:
        return dt.datetime.fromtimestamp(epoch_seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""
