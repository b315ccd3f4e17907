"""Is this Redis fit for queue and ledger? Asked once per process, as soon as Redis answers."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import redis
import structlog

from config.names import Event

log = structlog.get_logger("voicecode.redis")

CLUSTER: Final = (
    "VOICECODE_BROKER_URL names a Redis Cluster, and queue and ledger need a single Redis:"
    " use one server, with Sentinel for fail-over."
)
_KEEPING_POLICY: Final = "noeviction"
_NO_SNAPSHOTS: Final = ""
_EVERY_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a server says of itself. None: it does not say."""

    cluster: bool
    policy: str | None
    append_only: bool | None
    snapshots: str | None

    @classmethod
    def of(cls, info: Mapping[str, Any], snapshots: str | None) -> Self:
        """Read them from INFO, and from the setting `save`."""
        append_only = info.get("aof_enabled")
        return cls(
            cluster=bool(info.get("cluster_enabled")) or info.get("redis_mode") == "cluster",
            policy=info.get("maxmemory_policy"),
            append_only=None if append_only is None else bool(append_only),
            snapshots=snapshots,
        )

    @property
    def risks(self) -> tuple[str, ...]:
        """What may lose codes, one sentence each."""
        found = []
        if self.policy not in {None, _KEEPING_POLICY}:
            found.append(f"maxmemory-policy is {self.policy}: Redis may forget who was called")
        if self.append_only is False and self.snapshots == _NO_SNAPSHOTS:
            found.append("neither appendonly nor save is set: a restart of Redis forgets every code")
        return tuple(found)


class ServerCheck(threading.Thread):
    """Looks until Redis has answered once. Run it as a thread if the first `look` got no answer."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(name="voicecode-server-check", daemon=True)
        self._client = client
        self.done = False

    def look(self) -> str | None:
        """Warn of each risk; return why this Redis cannot be used. Sets `done` if Redis answers."""
        try:
            facts = self._ask()
        except redis.ResponseError:
            self.done = True  # the user's rights do not cover the question
            return None
        except (redis.RedisError, OSError):
            return None
        self.done = True
        for risk in facts.risks:
            log.warning(Event.REDIS_RISKY, cause=risk, alert="warn", runbook="redis-settings")
        return CLUSTER if facts.cluster else None

    def run(self) -> None:
        """Look once a second; end the worker if Redis turns out to be a cluster."""
        while not self.done:
            time.sleep(_EVERY_SECONDS)
            if sentence := self.look():
                log.error(Event.REDIS_UNFIT, cause=sentence, alert="page", runbook="redis-settings")
                os.kill(os.getpid(), signal.SIGTERM)

    def _ask(self) -> Facts:
        client: Any = self._client
        info = client.info()
        try:
            snapshots = client.config_get("save").get("save")
        except redis.ResponseError:  # a managed Redis keeps CONFIG to itself
            snapshots = None
        return Facts.of(info, snapshots)
