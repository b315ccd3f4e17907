"""Keys: the lists of Redis keys that each script works on."""

from config import names

LIVES = [names.DUE, names.EXPIRY]
LIVES_0_1_0 = [names.DUE_0_1_0, names.EXPIRY_0_1_0]


def record(key: str) -> str:
    """Return the name of a code's record."""
    return names.RECORD_PREFIX + key


def life(key: str) -> list[str]:
    """Return the keys of a code's life: record, due, expiry, dead."""
    return [record(key), *LIVES, names.DEAD]


def finish(key: str) -> list[str]:
    """Return the keys of `finish`: those of `life`, and the fleet's record."""
    return [*life(key), names.SENDING]


def claim(key: str) -> list[str]:
    """Return the keys of `claim`: those of `life`, fetched, and the fleet's record."""
    return [*life(key), names.FETCHED, names.SENDING]


FETCH = [
    names.QUEUE,
    names.UNACKED,
    names.UNACKED_INDEX,
    names.FETCHED,
    names.DUE,
    names.EXPIRY,
    names.DEAD,
    names.HINTS,
]
GIVE_BACK = [names.QUEUE, names.UNACKED, names.UNACKED_INDEX, names.FETCHED]
PRIORITY_LISTS = [
    f"{names.QUEUE}{separator}{priority}"
    for separator in names.PRIORITY_SEPARATORS
    for priority in range(1, 10)
]
SWEEP = [
    names.QUEUE,
    names.UNACKED,
    names.UNACKED_INDEX,
    names.FETCHED,
    names.RETURNS,
    names.WORKERS,
    names.DUE,
    names.EXPIRY,
    names.DEAD,
    *PRIORITY_LISTS,
]
