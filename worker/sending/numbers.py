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
        last = max(blocks, key=blocks.__getitem__, default="")
        blocked_seconds = max(0.0, blocks.get(last, 0.0) - now)
        return NumberSeen(
            digest=digests,
            submissions=max(sum(not name.startswith(_BLOCK) for name in found) for found in entries),
            blocked_by=last.removeprefix(_BLOCK) if blocked_seconds else "",
            blocked_seconds=blocked_seconds,
            calls_today=max(int(count or 0) for count in calls),
        )

    def unblock(self, mobile: str) -> bool:
        """Forget what keeps it from being called. Return False if nothing did."""
        digests = self._digests.number(mobile).split()
        found = [names.NUMBER_PREFIX + digest for digest in digests]
        return bool(self._client.delete(*(name + what for name in found for what in ("", ":day"))))
