"""Compares everything in Redis with the ledger's model and rules."""

import collections
import json
from typing import Any, Final

from config import names
from tests.support.ledger_model import AMBIGUOUS_RETRIES, MAX_ATTEMPTS, Model
from worker.store.digests import Digests

DRIFT_SECONDS: Final = 4.0
"""How much real time one example may take before its moments can no longer be told apart."""
KEPT: Final = ("state", "reason", "attempt", "ambiguous_total", "replays", "calls")
"""What an accepted record still tells."""
DUMP: Final = """
local out = {}
for _, name in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', name).ok, nil
  if kind == 'hash' then value = redis.call('HGETALL', name)
  elseif kind == 'zset' then value = redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif kind == 'list' then value = redis.call('LRANGE', name, 0, -1)
  elseif kind == 'string' then value = { redis.call('GET', name) } end
  if value then out[#out + 1] = { name, redis.call('PTTL', name), value } end
end
return cjson.encode(out)
"""


def compare(client: Any, model: Model, base: float, digests: Digests) -> None:
    """Raise AssertionError where they differ. `base`: epoch seconds of the model's beginning."""
    stored = Stored(client.eval(DUMP, 0))
    for key in {*model.codes, *stored.records}:
        check_record(key, stored, model)
    check_moments(stored, model, base)
    check_indexes(stored, model, digests)


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


class Stored:
    """What stands in Redis, read in one go."""

    def __init__(self, dump: str) -> None:
        entries = json.loads(dump) if dump != "{}" else []
        named = {name: value for name, _ttl, value in entries}
        self.ttl = {name: ttl for name, ttl, _value in entries}
        prefix = names.RECORD_PREFIX
        self.records = {
            name.removeprefix(prefix): _pairs(value)
            for name, value in named.items()
            if name.startswith(prefix)
        }
        zsets = {
            name: {key: float(score) for key, score in _pairs(named.get(name, [])).items()}
            for name in (names.DUE, names.EXPIRY, names.DEAD)
        }
        self.due, self.expiry, self.dead = zsets[names.DUE], zsets[names.EXPIRY], zsets[names.DEAD]
        under = names.DEAD_BY_PREFIX
        beside = {name.removeprefix(under): value for name, value in named.items() if name.startswith(under)}
        self.counts = {name: int(count) for name, count in _pairs(beside.pop("counts", [])).items()}
        self.expires = _pairs(beside.pop("expires", []))
        self.holds = _pairs(beside.pop("holds", []))
        self.numbers = {
            name.removeprefix("numbers:"): _pairs(value)
            for name, value in beside.items()
            if name.startswith("numbers:")
        }
        skipped = ("numbers:", "newest:", "discarded:")
        self.indexes = {
            name: set(_pairs(value)) for name, value in beside.items() if not name.startswith(skipped)
        }
        self.hints = [
            json.loads(json.loads(item)["body"])[0][0]
            for item in [*named.get(names.QUEUE, []), *named.get(names.HINTS, [])]
        ]


def _streak(text: str) -> tuple[str, int]:
    kind, _, count = text.partition(":")
    return kind, int(count or 0)


def check_record(key: str, stored: Stored, model: Model) -> None:
    """Compare one record, and hold it to the rules that need no model."""
    assert key in model.codes, f"{key} should be gone"
    code, r = model.codes[key], stored.records[key]
    found = {
        "state": r["state"],
        "reason": r.get("reason"),
        "row": r.get("row"),
        "attempt": int(r.get("attempt", 0)),
        "life": int(r.get("life", 0)),
        "ambiguous": int(r.get("ambiguous", 0)),
        "turned_away": int(r.get("turned_away", 0)),
        "streak": _streak(r.get("streak", "")),
        "ambiguous_total": int(r.get("ambiguous_total", 0)),
        "deaths": int(r.get("deaths", 0)),
        "replays": int(r.get("replays", 0)),
        "calls": int(r.get("calls", 0)),
        "discarded": "discarded_at" in r,
        "spent": tuple(r.get("spent", "").split()),
    }
    if code.state == "accepted":
        found = {name: found[name] for name in KEPT}
    assert found == {name: getattr(code, name) for name in found}
    waits, queued, ttl = key in stored.due, key in stored.dead, stored.ttl[names.RECORD_PREFIX + key]
    unfinished = code.state in {"waiting", "calling"}
    assert (waits, key in stored.expiry, queued) == (unfinished, unfinished, code.queued)
    assert (ttl > 0) == (code.state == "accepted" or code.discarded), f"{code.state} lives for {ttl} ms"
    assert code.state != "accepted" or not r.keys() & {"code", "life", "row"}
    for life in range(code.replays + 1):
        assert model.placed[key, life] - model.free[key, life] <= MAX_ATTEMPTS
    # What version 0.1.0 would compute from the same fields.
    assert code.attempt - code.life <= MAX_ATTEMPTS
    assert code.ambiguous <= AMBIGUOUS_RETRIES + 1


def check_moments(stored: Stored, model: Model, base: float) -> None:
    """Compare the moments at which each key is looked at."""
    for name, found, expected in (("due", stored.due, model.due), ("expiry", stored.expiry, model.expiry)):
        assert found.keys() == expected.keys(), name
        for key, moment in found.items():
            assert abs(moment - base - expected[key]) < DRIFT_SECONDS, f"{name} of {key}"
    assert collections.Counter(stored.hints) == collections.Counter(model.hints)


def check_indexes(stored: Stored, model: Model, digests: Digests) -> None:
    """Rebuild the failure queue's indexes and counts from what is dead, and compare."""
    dead = {key: code for key, code in model.codes.items() if code.queued}
    indexes: dict[str, set[str]] = {}
    numbers: dict[str, dict[str, str]] = {}
    for key, code in dead.items():
        for name in code.indexes():
            indexes.setdefault(name, set()).add(key)
        if code.mobile:
            digest = digests.number(code.mobile)
            bucket = numbers.setdefault(digest.partition(".")[2][:3], {})
            bucket[digest] = str(int(bucket.get(digest, 0)) + 1)
    counts = {name: len(members) for name, members in indexes.items() if not name.startswith("ends:")}
    distinct = sum(map(len, numbers.values()))
    assert stored.dead.keys() == dead.keys() == stored.expires.keys()
    assert stored.holds.keys() == {key for key, code in model.codes.items() if code.state == "dead"}
    assert stored.indexes == indexes
    assert stored.numbers == numbers
    assert {name: count for name, count in stored.counts.items() if count} == counts | (
        {"numbers": distinct} if distinct else {}
    )
