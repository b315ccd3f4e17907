"""Cancelled: the ledger's answer when a producer withdraws a code. `cancel.lua` gives it."""

import enum


class Cancelled(enum.Enum):
    """The state in which the code was."""

    NONE = "none"
    """Nobody has seen it yet; it will not be called when it comes."""
    WAITING = "waiting"
    """It is cancelled now."""
    CALLING = "calling"
    """The call goes on. If it fails, no other one follows."""
    ACCEPTED = "accepted"
    """Too late: the gateway took the call."""
    DEAD = "dead"
    """It is a dead letter, and stays one."""
    CANCELLED = "cancelled"
    """It was cancelled before."""
    NEWER = "newer"
    """The record was written by a later version of this program."""
