"""Snapshot: everything that one scrape shows, read from Redis at one moment."""

import dataclasses
from typing import Any

import redis

from config import names
from config.settings import Settings
from worker.diagnosis.overview import Overview, read_overview
from worker.ledger.counters import Counters


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the status screen shows, and what the scripts counted."""

    overview: Overview
    counters: Counters
    now: float
    """Epoch seconds by Redis' clock."""


class Source:
    """Reads snapshots. `client` decodes answers.

    A Redis user that may not look into messages and records is recognised at the first refusal.
    """

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client: Any = client
        self._settings = settings
        self._contents = True

    def read(self) -> Snapshot:
        """Read one. Raises redis.RedisError."""
        seconds, microseconds = self._client.time()
        # The counters first: what is counted meanwhile is then missing, and never too much.
        counted = Counters.from_hash(self._client.hgetall(names.METRICS))
        return Snapshot(overview=self._overview(), counters=counted, now=seconds + microseconds / 1e6)

    def _overview(self) -> Overview:
        try:
            return read_overview(self._client, self._settings, contents=self._contents)
        except redis.exceptions.NoPermissionError:
            if not self._contents:
                raise
            self._contents = False
            return self._overview()
