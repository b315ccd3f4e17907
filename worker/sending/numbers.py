"""Numbers: what Redis knows of one number, for an operator."""

import dataclasses
from typing import Any

from config import names
from config.settings import Settings
from worker.store.digests import Digests


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
            pipe.zcard(name).get(f"{name}:block").pttl(f"{name}:block").get(f"{name}:day")
        answers = pipe.execute()
        submissions, rows, milliseconds, calls = (answers[part::4] for part in range(4))
        return NumberSeen(
            digest=digests,
            submissions=max(submissions),
            blocked_by=next(filter(None, rows), ""),
            blocked_seconds=max(0, *milliseconds) / 1000,
            calls_today=max(int(count or 0) for count in calls),
        )

    def unblock(self, mobile: str) -> bool:
        """Forget what keeps it from being called. Return False if nothing did."""
        digests = self._digests.number(mobile).split()
        found = [names.NUMBER_PREFIX + digest for digest in digests]
        return bool(self._client.delete(*(name + what for name in found for what in ("", ":block", ":day"))))
