"""Envelope: what a Celery message says beside its arguments."""

import dataclasses
from collections.abc import Mapping
from typing import Final, NamedTuple

from worker.message import BadInput

SKIPPED: Final = "skipped"


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
    trace: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """`traceparent` and `tracestate`, if the producer sent them."""
    extras: tuple[str, ...] = ()
    """What else the message asks for (callbacks, chain ...): it is refused for these."""

    def check(self) -> None:
        """Raise BadInput for what a voice code cannot have."""
        if self.extras:
            message = f"the message asks for {', '.join(self.extras)}: a voice code has no result to pass on"
            raise BadInput(message)
