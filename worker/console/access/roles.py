"""Roles: what each may do. The server asks this table before every page and every action."""

import enum
from collections.abc import Mapping
from typing import Final


class Right(enum.Enum):
    """Something that a page or an action needs."""

    SEE = "see"
    """Look at every page: numbers are masked, codes are not there."""
    ORDER = "order"
    """Hold and resume sending."""
    REPLAY = "replay"
    """Call again what a plan calls sendable."""
    DISCARD = "discard"
    """Take dead letters out, and bring them back."""
    EXPORT = "export"
    """Take a copy away, masked."""
    RISK = "risk"
    """Call what may have rung already, what was replaced, or what had expired."""
    SWEEP = "sweep"
    """Discard the whole queue, without any filter."""


class Role(enum.StrEnum):
    """A user has one."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.OPERATOR: frozenset({Right.SEE, Right.ORDER, Right.REPLAY, Right.DISCARD, Right.EXPORT}),
    Role.ADMIN: frozenset(Right),
}
