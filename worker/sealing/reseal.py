"""Reseal: all records come under the newest key, so that an older one may be given up."""

import collections
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from worker.sealing.seals import Seals, Unsealable, id_of
from worker.store import keys
from worker.store.scripts import Script

_READ: Final = 500


def count_by_key(client: redis.Redis) -> collections.Counter[str]:
    """Return how many records are sealed under each key's id."""
    return collections.Counter(id_of(sealed) for _, sealed in _sealed(client))


def reseal(client: redis.Redis, seals: Seals) -> Iterator[str]:
    """Seal each record anew; yield for each: `resealed`, `changed` meanwhile, or `gone` key."""
    script = Script(client, "sealing/reseal")
    for key, sealed in _sealed(client):
        if id_of(sealed) == seals.newest:
            continue
        try:
            mobile, code = seals.open(sealed, key=key)
        except Unsealable:
            yield "gone"
            continue
        after = seals.seal(mobile, code, key=key)
        done = script(
            [keys.record(key)], clock_offset=0, version=names.RECORD_VERSION, before=sealed, after=after
        )
        yield "resealed" if int(done) else "changed"


def _sealed(client: Any) -> Iterator[tuple[str, str]]:
    batch: list[str] = []
    for name in client.scan_iter(match=f"{names.RECORD_PREFIX}*", count=_READ):
        batch.append(name)
        if len(batch) == _READ:
            yield from _read(client, batch)
            batch = []
    yield from _read(client, batch)


def _read(client: Any, batch: list[str]) -> Iterator[tuple[str, str]]:
    pipe = client.pipeline(transaction=False)
    for name in batch:
        pipe.hget(name, "sealed")
    for name, sealed in zip(batch, pipe.execute(), strict=True):
        if sealed:
            yield name.removeprefix(names.RECORD_PREFIX), sealed
