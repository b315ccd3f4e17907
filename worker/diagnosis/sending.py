"""Sending: whether the fleet may send, as it is recorded in Redis for web apps and operators."""

import dataclasses
from typing import Any, Final

import redis

from config import names

_KEY: Final = names.TAG + ":sending"
_SENDING: Final = "sending"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The fleet's state. `since`: epoch seconds, None where it was never stopped."""

    state: str = _SENDING
    row: str = ""
    """The row of the table of replies that stopped it."""
    since: float | None = None
    by: str = ""
    note: str = ""

    @property
    def stopped(self) -> bool:
        """Whether codes wait, or die, because the fleet does not send."""
        return self.state not in {_SENDING, "trial"}


def read_sending(client: redis.Redis) -> Sending:
    """Return the state. A record that is gone means sending."""
    connection: Any = client
    values = connection.hgetall(_KEY)
    since = values.get("since") or ""
    return Sending(
        state=values.get("state") or _SENDING,
        row=values.get("row", ""),
        since=float(since) if since.replace(".", "", 1).isdigit() else None,
        by=values.get("by", ""),
        note=values.get("note", ""),
    )
