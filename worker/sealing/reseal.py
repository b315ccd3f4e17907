"""Reseal: all records come under the newest key, so that an older one may be given up.

Those that were made before there was a key are sealed, too.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names
from worker.sealing.seals import Seals, Unsealable, id_of
from worker.store import keys
from worker.store.scripts import Script

_READ: Final = 500
IN_CLEAR: Final = "in clear"


def count_by_key(client: redis.Redis) -> collections.Counter[str]:
    """Return how many records are sealed under each key's id, and how many have a code IN_CLEAR."""
    return collections.Counter(IN_CLEAR if found.code else id_of(found.sealed) for found in _pairs(client))


def reseal(client: redis.Redis, seals: Seals) -> Iterator[str]:
    """Seal each record anew; yield for each: `resealed`, `changed` meanwhile, or `gone` key."""
    script = Script(client, "sealing/reseal")
    for found in _pairs(client):
        if found.sealed and id_of(found.sealed) == seals.newest:
            continue
        try:
            pair = seals.open(found.sealed, key=found.key) if found.sealed else (found.mobile, found.code)
        except Unsealable:
            yield "gone"
            continue
        done = script(
            [keys.record(found.key)],
            clock_offset=0,
            version=names.RECORD_VERSION,
            before=found.sealed,
            code=found.code,
            after=seals.seal(*pair, key=found.key),
        )
        yield "resealed" if int(done) else "changed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Number and code as a record holds them: sealed, or in clear."""

    key: str
    sealed: str
    mobile: str = dataclasses.field(repr=False)
    code: str = dataclasses.field(repr=False)


def _pairs(client: Any) -> Iterator[_Pair]:
    """Read the records that hold a code, whatever their state."""
    found = client.scan_iter(match=f"{names.RECORD_PREFIX}*", count=_READ)
    while batch := list(itertools.islice(found, _READ)):
        pipe = client.pipeline(transaction=False)
        for name in batch:
            pipe.hmget(name, "sealed", "mobile", "code")
        for name, values in zip(batch, pipe.execute(), strict=True):
            sealed, mobile, code = (value or "" for value in values)
            if sealed or code:
                key = name.removeprefix(names.RECORD_PREFIX)
                yield _Pair(key=key, sealed=sealed, mobile=mobile, code=code)
