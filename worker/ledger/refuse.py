"""Refusal: the ledger's answer when a message is made a dead letter."""

import enum


class Refusal(enum.Enum):
    """The answer of `refuse.lua`."""

    NEW = "new"
    """It has just become a dead letter."""
    KNOWN = "known"
    """It was refused before: the message came twice."""
