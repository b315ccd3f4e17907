"""Statuses: the scripts' answer for each key, spelled as the scripts spell them."""

import collections
import enum
from collections.abc import Iterable
from typing import TypeVar

from worker.store import scripts


class ReplayStatus(enum.StrEnum):
    """What `inspect.lua` and `replay.lua` say of a key."""

    REPLAYED = "replayed"
    """It is back on the queue."""
    SENDABLE = "sendable"
    """A replay would call it."""
    EXPIRED = "expired"
    """Its life is over; a new one was not allowed."""
    SUPERSEDED = "superseded"
    """A newer code was asked for, for the same number and purpose."""
    AMBIGUOUS = "ambiguous"
    """An attempt ended without a reply: the phone may have rung."""
    UNSENDABLE = "unsendable"
    """It holds no number or no code."""
    RETIRED = "retired"
    """Its code was taken out: its life had ended VOICECODE_CODE_GRACE_SECONDS ago, or a newer code
    had replaced it."""
    NOT_DEAD = "not_dead"
    """It is not a dead letter, or no longer: replayed, called or discarded meanwhile."""
    MISSING = "missing"
    """Redis knows no such key."""
    NEWER = "newer"
    """A later version of this program wrote its record."""


class DiscardStatus(enum.StrEnum):
    """What `discard.lua` says of a key."""

    DISCARDED = "discarded"
    """It has left the failure queue."""
    NOT_DEAD = "not_dead"
    """It was not a dead letter."""
    MISSING = "missing"
    """Redis knows no such key."""


class CancelStatus(enum.StrEnum):
    """What `cancel.lua` says of a key."""

    CANCELLED = "cancelled"
    """It is the dead letter again that it was."""
    WENT_ON = "went_on"
    """It was called, is in call, has ended, or was replayed again."""


class UndoStatus(enum.StrEnum):
    """What `undo.lua` says of a key."""

    RESTORED = "restored"
    """It is back in the failure queue."""
    NOT_DISCARDED = "not_discarded"
    """It was not discarded, or somebody brought it back before."""
    MISSING = "missing"
    """Redis knows no such key, or no longer: the time for an undo is over."""


class RemoveStatus(enum.StrEnum):
    """What `remove.lua` says of a key."""

    REMOVED = "removed"
    """It was deleted."""
    CHANGED = "changed"
    """It is no longer the dead letter that the caller saw, and stays."""


class RestoreStatus(enum.StrEnum):
    """What `restore.lua` says of a key, and what became of one that never got there."""

    RESTORED = "restored"
    """It is back in the failure queue."""
    EXISTS = "exists"
    """Redis knows the key, and what Redis holds is newer."""
    LEFT_OUT = "left_out"
    """Not from the script: the file says that it had left the failure queue by then."""


Status = TypeVar("Status", bound=enum.StrEnum)


def read_statuses(kind: type[Status], answers: Iterable[object]) -> list[Status]:
    """Return a script's answers as members of `kind`, in order.

    Raises ValueError for an unknown one.
    """
    return [kind(scripts.text(answer)) for answer in answers]


def tally(kind: type[Status], answers: Iterable[object]) -> collections.Counter[Status]:
    """Count a script's answers."""
    return collections.Counter(read_statuses(kind, answers))
