"""Verdict: what a worker hears when it has reported how it is."""

import dataclasses
import enum
from typing import Any

from worker.sending.state import State
from worker.store import scripts


class Tell(enum.Enum):
    """Which line about the fleet this worker is to log. One worker writes each."""

    NOTHING = ""
    MINUTE = "minute"
    """The count, once a minute."""
    MOVE = "move"
    """That the state has changed."""
    PAGE = "page"
    """The same, with a page: nobody was woken for this incident yet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of `report.lua`."""

    fetch: bool = True
    state: State = State.SENDING
    row: str = ""
    mends: str = ""
    since: float | None = None
    generation: int = 0
    by: str = ""
    transition: str = ""
    tell: Tell = Tell.NOTHING
    parked: int = 0
    refused: int = 0
    blocked_by: str = ""
    """The row that blocks this worker's configuration; empty if none does."""
    pages_block: bool = False
    """Whether this worker is the one of its configuration that pages for the block."""
    incident: str = ""
    """The name of the incident that lasts; empty if the fleet sends."""


def read_verdict(answer: list[Any]) -> Verdict:
    """Return the script's answer as a value."""
    (
        fetch,
        state,
        row,
        mends,
        since,
        generation,
        by,
        transition,
        tell,
        parked,
        refused,
        blocked_by,
        pages_block,
        incident,
    ) = map(scripts.text, answer)
    return Verdict(
        fetch=fetch == "1",
        state=State(state),
        row=row,
        mends=mends,
        since=float(since) if since else None,
        generation=int(generation),
        by=by,
        transition=transition,
        tell=Tell(tell),
        parked=int(parked),
        refused=int(refused),
        blocked_by=blocked_by,
        pages_block=pages_block == "1",
        incident=f"sending-{float(incident):.0f}" if float(incident) else "",
    )
