"""Envelope: what a Celery message says around its arguments."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The part of a message's headers and properties that delivery looks at."""

    task_id: str
    tag: str = ""
    """Delivery tag: its name in `unacked`."""
    eta: float | None = None
    """Epoch seconds: no call before this."""
    expires: float | None = None
    """Epoch seconds; counts where the arguments hold no `expires_at`."""
    extras: tuple[str, ...] = ()
    """What else the message asks for: callbacks, chain ... It is refused."""
