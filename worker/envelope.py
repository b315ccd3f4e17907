"""Envelope: what a Celery message says beside its arguments."""

import dataclasses
import re
from typing import Any, Final, NamedTuple

from worker.message import BadInput

SKIPPED: Final = "skipped"
_TRACE: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context's `traceparent`: version, trace, span, flags."""


class Ending(NamedTuple):
    """What became of a message's code, for those who listen."""

    word: str
    """`accepted`, `retry`, `dead`, `cancelled`, or `skipped`: no call, and nothing has changed."""
    reason: str = ""
    """Of a dead letter."""
    row: str = ""
    """Of the table of replies, after a try."""
    task_id: str = ""
    """Of the message that brought the code first, after a try."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The headers and properties of a message that delivery uses."""

    task_id: str
    tag: str = ""
    """Delivery tag: the message's name in `unacked`."""
    eta: float | None = None
    """Epoch seconds: no call before this."""
    expires: float | None = None
    """Epoch seconds; used if the arguments have no `expires_at`."""
    trace: str = ""
    """The producer's span, as `traceparent` names it; empty if it sent none."""
    extras: tuple[str, ...] = ()
    """What else the message asks for (callbacks, chain ...): it is refused for these."""

    def check(self) -> None:
        """Raise BadInput for what a voice code cannot have."""
        if self.extras:
            message = f"the message asks for {', '.join(self.extras)}: a voice code has no result to pass on"
            raise BadInput(message)


def trace_of(traceparent: Any) -> str:
    """Return a `traceparent` as it is, and an empty text in place of anything else."""
    return traceparent if isinstance(traceparent, str) and _TRACE.fullmatch(traceparent) else ""


def trace_id_of(trace: str) -> str | None:
    """Return the 32 hex digits that name the trace; None if there is none."""
    return trace[3:35] or None
