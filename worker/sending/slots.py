"""Slots: how a worker shares its calls in flight between new codes and waiting ones."""

from typing import Final

_RESERVED: Final = 10


def reserved(slots: int) -> int:
    """Return how many of a worker's slots waiting codes leave to new ones: one in ten.

    Waiting codes come back by a hint: retries, replays, and what an outage held up.
    """
    return slots // _RESERVED
