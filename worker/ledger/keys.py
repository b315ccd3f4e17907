"""The keys that scripts are given."""

from config import names


def record(key: str) -> str:
    """Return the name of a code's record."""
    return names.RECORD_PREFIX + key


def life(key: str) -> list[str]:
    """Return what `claim`, `finish` and `replay` touch: record, due, expiry, dead."""
    return [record(key), names.DUE, names.EXPIRY, names.DEAD]
