"""What a client answers, as values."""

import dataclasses
from typing import Literal

Offer = Literal["voice", "sms"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The code is on the queue."""

    key: str
    expires_at: float
    """Epoch seconds, by Redis' clock, after which no call starts."""
    task_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The key is known, and nothing was queued. A new code needs a new key."""

    key: str
    state: str
    """As in Status: the first code goes on, or has ended so."""
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was queued, and nobody will be called."""

    key: str
    reason: str
    """`bad_input`, `key_conflict` or `sending_stopped`."""
    detail: str
    """One sentence without values: for `bad_input` and `key_conflict`, the worker's own words."""
    retry_after_seconds: float | None = None
    """When calls may be possible again; None: nobody knows, or this code never can be called."""
    offer: Offer = "voice"
    """`sms` while nobody can be called."""
    row: str = ""
    """What stopped sending, a row of voicecode's table of replies, such as `4051`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of a code."""

    key: str
    state: str
    """`queued`, `calling`, `waiting`, `accepted`, `dead`, `cancelled` or `unknown`."""
    reason: str = ""
    """Of a dead letter."""
    reply_code: int | None = None
    """The gateway's last one: 4030 and 4085 are about the number."""
    voice_id: str = ""
    cancelling: bool = False
    """A cancel came while it was being called: that call goes on, and no other one follows."""
    expires_at: float | None = None
    accepted_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in {"accepted", "dead", "cancelled", "unknown"}

    @property
    def offer(self) -> Offer:
        """What to offer to the user of this code: `sms` once it will not be called."""
        return "sms" if self.state in {"dead", "unknown"} else "voice"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The end of a code."""

    key: str
    state: str
    """`accepted`, `dead` or `cancelled`."""
    reason: str
    """Of a dead letter."""
    row: str
    """What was met last, a row of voicecode's table of replies, such as `4030`; may be empty."""
    position: str
    """Where to go on: the next call's `after`."""
    missed: int = 0
    """How many fates before this one were already gone from the stream when it was read."""


class Unavailable(Exception):  # noqa: N818 - a state of Redis, not a mistake
    """Redis did not answer in time, or refused. The code may have been queued all the same.

    Send it again with the same key: at most one call follows. Or offer another way.
    """


Answer = Sent | Duplicate | Refused
