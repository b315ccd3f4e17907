"""Numbers: what Redis knows of one number, for an operator."""

import dataclasses
from typing import Any, Final

from config import names
from config.settings import Settings
from worker.store.digests import Digests

_BLOCK: Final = "block:"
"""+ the row: a member of a number's zset until whose score the number is not called."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NumberSeen:
    """What counts against a number."""

    digest: str
    """Its name in Redis; two during a rotation of the key."""
    submissions: int
    """Claims to call it within the last minute or so."""
    blocked_by: str
    """The row that keeps it from being called; empty if none does."""
    blocked_seconds: float
    calls_today: int
    """Calls that were accepted or may have rung; counted only with `VOICECODE_NUMBER_PER_DAY`."""


class Numbers:
    """Every method takes 11 digits and raises redis-py's errors."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._digests = Digests(client, settings)
        self._window = 60 + settings.attempt_deadline_seconds

    def show(self, mobile: str) -> NumberSeen:
        """Return what counts against a number."""
        digests = self._digests.number(mobile)
        pipe = self._client.pipeline(transaction=False)
        for digest in digests.split():
            name = names.NUMBER_PREFIX + digest
            pipe.zrange(name, 0, -1, withscores=True).get(f"{name}:day")
        seconds, micros = self._client.time()
        now = seconds + micros / 1e6
        answers = pipe.execute()
        entries, calls = [dict(found) for found in answers[::2]], answers[1::2]
        blocks = {
            name: until for found in entries for name, until in found.items() if name.startswith(_BLOCK)
        }
        since = now - self._window
        claims = [
            sum(since < moment <= now + 1 for name, moment in found.items() if name not in blocks)
            for found in entries
        ]
        last = max(blocks, key=blocks.__getitem__, default="")
        blocked_seconds = max(0.0, blocks.get(last, 0.0) - now)
        return NumberSeen(
            digest=digests,
            submissions=max(claims),
            blocked_by=last.removeprefix(_BLOCK) if blocked_seconds else "",
            blocked_seconds=blocked_seconds,
            calls_today=max(int(count or 0) for count in calls),
        )

    def unblock(self, mobile: str) -> bool:
        """Forget what keeps it from being called. Return False if nothing did.

        The submissions of the last minute stay: more of them would freeze the account.
        """
        found = [names.NUMBER_PREFIX + digest for digest in self._digests.number(mobile).split()]
        forgotten = int(self._client.delete(*(f"{name}:day" for name in found)))
        for name in found:
            blocks = [member for member in self._client.zrange(name, 0, -1) if member.startswith(_BLOCK)]
            forgotten += int(self._client.zrem(name, *blocks)) if blocks else 0
        return bool(forgotten)
