"""Canary: watches replayed codes for one that the account or the host makes fail again."""

import dataclasses
from typing import Any, Final

import redis

from config.replies import Scope
from worker.store import keys

_AT_FAULT: Final = (Scope.ACCOUNT.value, Scope.HOST.value)
_LOOK: Final = 200
_FIELDS: Final = ("state", "attempt", "life", "began", "row", "scope", "unsubmitted", "parked")


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A replayed code that failed because of the account or the host."""

    key: str
    row: str
    scope: str

    def __str__(self) -> str:
        return f"{self.key} failed with {self.row}: the {self.scope} is still at fault"


class Canary:
    """Knows the replayed codes whose first attempt has not ended yet."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._waiting: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def watch(self, replayed: list[str]) -> None:
        """Watch these as well."""
        self._waiting.update(dict.fromkeys(replayed))

    def look(self) -> Fault | None:
        """Forget the codes whose attempt has ended.

        Return the first fault of account or host among them.
        """
        watched = list(self._waiting)
        for start in range(0, len(watched), _LOOK):
            chunk = watched[start : start + _LOOK]
            pipe = self._client.pipeline(transaction=False)
            for key in chunk:
                pipe.hmget(keys.record(key), _FIELDS)
            for key, values in zip(chunk, pipe.execute(), strict=True):
                state, attempt, life, began, row, scope, unsubmitted, parked = values
                # `life` moves on with tries that never left. A replay by 0.1.0 writes no `began`.
                tried = int(attempt or 0) > int(began or life or 0)
                if state == "waiting" and parked and not tried:
                    return Fault(key, "no submission, since sending has stopped", Scope.ACCOUNT.value)
                if state == "calling" or (state == "waiting" and not tried):
                    continue
                del self._waiting[key]
                if state != "accepted" and (tried or unsubmitted) and scope in _AT_FAULT:
                    return Fault(key, row or "", scope)
        return None
