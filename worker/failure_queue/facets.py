"""Facets: how many dead letters a filter selects, and of which kinds they are."""

import collections
import dataclasses
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis

from config import names
from worker.failure_queue import contents
from worker.failure_queue.filters import Filter
from worker.failure_queue.scan import Position
from worker.failure_queue.stats import Stats

LOOKED_AT: Final = 500
"""Records that are looked at to tell the kinds: some 15 ms of reading."""
_PATIENCE_SECONDS: Final = 0.06
"""A search that finds little ends after this long, and says that there may be more."""
_FIELDS: Final = ("reason", "row", "scope", "purpose")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """Counts of what one filter selects, the most frequent first."""

    total: int
    exact: bool
    """False: there are more than `total`."""
    looked_at: int | None
    """The kinds are those of so many of the newest; None: of all."""
    reason: Mapping[str, int]
    code: Mapping[str, int]
    scope: Mapping[str, int]
    purpose: Mapping[str, int]
    """Always of the newest only: no index knows it."""


def read_facets(client: redis.Redis, wanted: Filter, positions: Iterable[Position], stats: Stats) -> Facets:
    """Count. `positions`: what the filter selects, newest first."""
    end, more = time.monotonic() + _PATIENCE_SECONDS, False
    keys: list[str] = []
    for _, key in positions:
        more = len(keys) >= LOOKED_AT or time.monotonic() > end
        if more:
            break
        keys.append(key)
    known = count(client, wanted)
    kinds: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in _FIELDS}
    for values in contents.fields(client, keys, _FIELDS):
        for name, value in zip(_FIELDS, values, strict=True):
            kinds[name][value or "none"] += value is not None or name == "row"
    found = {name: _sorted(counts) for name, counts in kinds.items()}
    whole = wanted.empty
    return Facets(
        total=known if known is not None else len(keys),
        exact=known is not None or not more,
        looked_at=len(keys) if more and not whole else None,
        reason=stats.by_reason if whole else found["reason"],
        code=stats.by_code if whole else found["row"],
        scope=stats.by_scope if whole else found["scope"],
        purpose=found["purpose"],
    )


def count(client: redis.Redis, wanted: Filter) -> int | None:
    """Return how many dead letters a filter selects, where an index knows it; else None."""
    if wanted.keys or wanted.sendable or wanted.looks_inside or len(wanted.indexes) > 1:
        return None
    low = "-inf" if wanted.since is None else wanted.since
    high = "+inf" if wanted.until is None else wanted.until
    pipe: Any = client.pipeline(transaction=False)
    for name in wanted.indexes[0] if wanted.indexes else ("",):
        pipe.zcount(names.DEAD_BY_PREFIX + name if name else names.DEAD, low, high)
    return int(sum(pipe.execute()))


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    some = {name: number for name, number in counts.items() if name and number}
    return dict(sorted(some.items(), key=lambda item: (-item[1], item[0])))
