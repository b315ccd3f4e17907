"""Tidied: what one round of upkeep did."""

import dataclasses
from typing import Any, Self

from worker.store.scripts import text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Buried:
    """A code that expired while it waited and became a dead letter."""

    key: str
    reason: str
    mobile: str = dataclasses.field(repr=False)
    task_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """The answer of `upkeep.lua`."""

    hinted: int
    buried: tuple[Buried, ...]
    missing: tuple[str, ...]
    """Keys that were due without a record, and were removed."""
    more: bool
    """Whether more is left to do now."""
    newer: int
    """Records of a later version of this program that are due or expired, and were left alone."""

    def __add__(self, other: Self) -> Self:
        """Return what two rounds did together."""
        return dataclasses.replace(
            self,
            hinted=self.hinted + other.hinted,
            buried=self.buried + other.buried,
            missing=self.missing + other.missing,
            more=self.more or other.more,
            newer=self.newer + other.newer,
        )


def read(answer: list[Any]) -> Tidied:
    """Return the script's answer as a value."""
    hinted, buried, missing, more, newer = answer
    flat = [text(part) for part in buried]
    return Tidied(
        hinted=int(hinted),
        buried=tuple(
            Buried(key=k, reason=r, mobile=m, task_id=t) for k, r, m, t in zip(*[iter(flat)] * 4, strict=True)
        ),
        missing=tuple(text(key) for key in missing),
        more=bool(int(more)),
        newer=int(newer),
    )
