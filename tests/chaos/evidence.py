"""What is known of every code after a run: from its producer, the gateway's journal, the ledger."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from tests.chaos.cluster import Cluster
from worker.ledger.record import Record
from worker.simulator.journal import Submission

_BATCH: Final = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One code. Times are epoch seconds."""

    key: str
    acknowledged_at: float | None
    """When `send_task` first returned for it."""
    expires_at: float
    submissions: tuple[Submission, ...]
    """What the gateway received for it, whether it answered or not."""
    record: Record | None
    replayed_at: tuple[float, ...] = ()
    """Its lives after the first one begin here."""
    due: bool = False
    """A worker still has to look at it."""
    buried: bool = False
    """It is in the failure queue."""

    @property
    def calls(self) -> tuple[Submission, ...]:
        """The submissions for which the phone was called."""
        return tuple(s for s in self.submissions if s.called)

    def shown(self) -> dict[str, Any]:
        """Return all of it that may be shown."""
        return {
            "key": self.key,
            "acknowledged_at": self.acknowledged_at,
            "expires_at": self.expires_at,
            "submissions": [
                {"at": s.at, "scenario": s.scenario, "source": s.source, "called": s.called}
                for s in self.submissions
            ],
            "record": self.record.shown() if self.record else None,
            "replayed_at": self.replayed_at,
            "due": self.due,
            "buried": self.buried,
        }


def gather(cluster: Cluster) -> list[History]:
    """Return the history of every code that was produced."""
    with cluster.redis.client(decode_responses=True) as client:
        first: dict[str, dict[str, Any]] = {}
        for entry in cluster.produced():
            if "key" in entry:
                first.setdefault(entry["key"], entry)
        submissions = collections.defaultdict(list)
        for submission in cluster.submissions():
            submissions[submission.mobile].append(submission)
        records = dict(_records(client, list(first)))
        replays = _replays(client)
        due, dead = _members(client, names.DUE), _members(client, names.DEAD)
        return [
            History(
                key=key,
                acknowledged_at=entry["at"],
                expires_at=entry["expires_at"],
                submissions=tuple(submissions[entry["mobile"]]),
                record=records[key],
                replayed_at=tuple(replays[key]),
                due=key in due,
                buried=key in dead,
            )
            for key, entry in first.items()
        ]


def strays(cluster: Cluster) -> set[str]:
    """Return the keys of dead letters that nobody produced.

    Each is a hint or a message that was taken for something else.
    """
    with cluster.redis.client(decode_responses=True) as client:
        return _members(client, names.DEAD) - {entry["key"] for entry in cluster.produced() if "key" in entry}


def _records(client: redis.Redis, keys: list[str]) -> Iterator[tuple[str, Record | None]]:
    for start in range(0, len(keys), _BATCH):
        chunk = keys[start : start + _BATCH]
        with client.pipeline(transaction=False) as pipe:
            for key in chunk:
                pipe.hgetall(names.RECORD_PREFIX + key)
            for key, values in zip(chunk, pipe.execute(), strict=True):
                yield key, Record.from_hash(key, values)


def _members(client: redis.Redis, name: str) -> set[str]:
    found: Any = client.zrange(name, 0, -1)
    return set(found)


def _replays(client: redis.Redis) -> collections.defaultdict[str, list[float]]:
    """Return when each key was replayed, from the audit trail."""
    found = collections.defaultdict(list)
    entries: Any = client.xrange(names.AUDIT)
    for moment, fields in entries:
        if fields["action"] == "replay":
            found[fields["key"]].append(int(moment.partition("-")[0]) / 1000)
    return found
