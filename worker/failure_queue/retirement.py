"""Retirement: dead letters give up their codes, later their numbers, and 0.1.0's digests."""

from typing import Any, Final

import redis

from config import names
from config.settings import Settings
from worker.failure_queue.pages import read_records
from worker.store.digests import Digests
from worker.store.scripts import Script

BATCH: Final = 100
"""Dead letters in one script: 1 to 2 ms of the server's time."""
_PATROLLED: Final = 200
"""Dead letters that a round looks at for records of version 0.1.0."""
_DAY: Final = 86_400.0
_KEYED: Final = 2
"""The version of records from which on digests have a key."""


class Retirement:
    """Both methods do a bounded part. `client` decodes answers. Raises redis.RedisError."""

    def __init__(self, client: redis.Redis, settings: Settings, *, clock_offset: float = 0.0) -> None:
        self.clock_offset = clock_offset
        self._client: Any = client
        self._settings = settings
        self._digests = Digests(client, settings)
        self._retire = Script(client, "failure_queue/retire")
        self._adopt = Script(client, "failure_queue/adopt")
        self._patrolled = 0

    def retire(self, *, limit: int) -> tuple[int, int]:
        """Take out what may no longer be held; return how many codes and how many numbers."""
        s, codes, numbers = self._settings, 0, 0
        for _ in range(0, limit, BATCH):
            done = self._retire(
                [names.DEAD],
                **self._head,
                grace_seconds=s.code_grace_seconds,
                number_seconds=s.number_retention_days * _DAY,
                limit=BATCH,
            )
            codes, numbers = codes + int(done[0]), numbers + int(done[1])
            if not int(done[2]):
                break
        return codes, numbers

    def adopt(self) -> int:
        """Give keyed digests to records of version 0.1.0 among the next few; return how many."""
        found = self._client.zrange(
            names.DEAD, self._patrolled, self._patrolled + _PATROLLED - 1, withscores=True
        )
        self._patrolled = self._patrolled + len(found) if found else 0
        arguments: list[str] = []
        for (_, key), values in read_records(self._client, [(died_at, key) for key, died_at in found]):
            if values and int(values.get("v") or 0) < _KEYED:
                arguments += [key, *self._renewed(values)]
        if not arguments:
            return 0
        return int(self._adopt([names.DEAD], **self._head, found=arguments))

    def _renewed(self, values: dict[str, str]) -> tuple[str, str]:
        """Return the digests of a record's number and content, empty where it has none."""
        mobile, code, raw = (values.get(name, "") for name in ("mobile", "code", "raw"))
        content = ""
        if mobile and code:
            content = self._digests.content(mobile, code)
        elif raw:
            content = self._digests.raw(raw)
        return self._digests.number(mobile) if mobile else "", content.partition(" ")[0]

    @property
    def _head(self) -> dict[str, Any]:
        version = names.RECORD_VERSION
        return {"clock_offset": self.clock_offset, "version": version, "record_prefix": names.RECORD_PREFIX}
