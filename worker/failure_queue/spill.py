"""Spill: moves dead letters that can no longer be sent from Redis to a file.

They leave Redis once they are on the disk.
"""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from config import names
from worker.failure_queue import transfer
from worker.failure_queue.pages import read_records
from worker.failure_queue.queue import FailureQueue
from worker.failure_queue.removal import BATCH
from worker.failure_queue.scan import PAGE, Position, batched
from worker.failure_queue.statuses import RemoveStatus

_EXPIRES: Final = names.DEAD_BY_PREFIX + "expires"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """What one spill did."""

    path: Path
    count: int
    run: str


def spill(queue: FailureQueue, directory: Path, count: int) -> Spilled | None:
    """Move up to `count` dead letters to a new file. Return None if there is none to move.

    1. Write the records.
    2. Fsync file and directory.
    3. Remove from Redis those that have not changed since.
    4. Append the keys that have changed, for instance by a replay: `import` leaves them out.

    A full disk leaves no file. Broken records stay in Redis; if all are broken, no file is left.
    A crash in between leaves dead letters in both places, and `import` skips keys that Redis knows.
    Raises OSError and redis.RedisError.
    """
    chosen = list(itertools.islice(_candidates(queue), count))
    if not chosen:
        return None
    run = queue.new_run()
    stamp = dt.datetime.fromtimestamp(queue.now(), dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = directory / f"dead-letters-{stamp}-{run}.jsonl"
    removed, stayed = 0, []
    written: list[Position] = []
    with transfer.created(path) as file:
        for batch in batched(chosen, BATCH):
            for position, values in read_records(queue.client, batch):
                if values.get("state") == "dead":
                    file.write(transfer.full_line(position[1], values))
                    written.append(position)
        transfer.settle(file, path)
    if not written:
        path.unlink()
        return None
    for batch in batched(written, BATCH):
        statuses = queue.removal.remove(batch, run=run, operator=queue.operator, action="spill")
        removed += statuses.count(RemoveStatus.REMOVED)
        stayed += [
            key for (_, key), status in zip(batch, statuses, strict=True) if status is RemoveStatus.CHANGED
        ]
    if stayed:
        with path.open("a", encoding="utf-8") as file:
            file.write(transfer.retraction(stayed))
            transfer.settle(file, path)
    return Spilled(path=path, count=removed, run=run)


def _candidates(queue: FailureQueue) -> Iterator[Position]:
    """Return dead letters that may leave, the longest expired first.

    They have expired, and no late duplicate of their message can come any more.
    """
    client: Any = queue.client
    now = queue.now()
    latest = now - queue.settings.dedup_horizon_seconds
    for offset in itertools.count(step=PAGE):
        keys = client.zrangebyscore(_EXPIRES, "-inf", repr(now), offset, PAGE)
        if not keys:
            return
        deaths = client.zmscore(names.DEAD, keys)
        yield from (
            (died_at, key)
            for died_at, key in zip(deaths, keys, strict=True)
            if died_at is not None and died_at <= latest
        )
