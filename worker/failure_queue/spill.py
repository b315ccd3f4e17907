"""Spill: dead letters that can no longer be sent leave Redis for a file, and are on the disk before they leave."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from config import names
from worker.failure_queue import transfer
from worker.failure_queue.queue import FailureQueue
from worker.failure_queue.removal import BATCH
from worker.failure_queue.scan import PAGE, Position, batched

_EXPIRES: Final = names.DEAD_BY_PREFIX + "expires"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """What one spill did."""

    path: Path
    count: int
    run: str


def spill(queue: FailureQueue, directory: Path, count: int) -> Spilled | None:
    """Move up to `count` entries to a new file; None where there is none to move. Raises OSError and redis.RedisError.

    1. write the records   2. fsync file and directory   3. remove from Redis those that are still as they were written
    4. write down which were not: a replay came first
    A crash in between leaves entries in both places; `import` passes over what is known.
    """
    chosen = list(itertools.islice(_candidates(queue), count))
    if not chosen:
        return None
    run = queue.new_run()
    stamp = dt.datetime.fromtimestamp(queue.now(), dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = directory / f"dead-letters-{stamp}-{run}.jsonl"
    gone, stayed = 0, []
    with transfer.create(path) as file:
        for batch in batched(chosen, BATCH):
            for (_, key), values in queue.records(batch):
                file.write(transfer.full_line(key, values))
        transfer.settle(file, path)
        for batch in batched(chosen, BATCH):
            words = queue.removal.remove(batch, run=run, operator=queue.operator, action="spill")
            gone += words.count("removed")
            stayed += [key for (_, key), word in zip(batch, words, strict=True) if word != "removed"]
        if stayed:
            file.write(transfer.retraction(stayed))
            transfer.settle(file, path)
    return Spilled(path=path, count=gone, run=run)


def _candidates(queue: FailureQueue) -> Iterator[Position]:
    """Return what has expired, the longest expired first, and died so long ago that no duplicate of its message can come."""
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
