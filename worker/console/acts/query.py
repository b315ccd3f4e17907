"""Query: a filter in an address. The address of a list is the filter of its actions."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from worker.failure_queue import Filter
from worker.failure_queue.asked import read_filter

SINGLE = ("reason", "scope", "since", "until", "ends", "purpose", "text")
FIELDS = ("key", "code", *SINGLE, "rung", "sendable")
"""Names in the address, in their order."""
_RUNG = {"yes": True, "no": False}


def wanted_of(fields: Mapping[str, Sequence[str]], *, now: float) -> Filter:
    """Return the filter. `now`: epoch seconds. Raises ValueError with a sentence for a person."""
    one = {name: (fields.get(name) or [""])[-1].strip() or None for name in (*SINGLE, "rung", "sendable")}
    return read_filter(
        now=now,
        keys=[key.strip() for key in fields.get("key", ()) if key.strip()],
        codes=[code.strip() for code in fields.get("code", ()) if code.strip()],
        reason=one["reason"],
        scope=one["scope"],
        since=one["since"],
        until=one["until"],
        mobile_ends=one["ends"],
        purpose=one["purpose"],
        text=one["text"],
        ambiguous=_RUNG.get(one["rung"] or ""),
        sendable=one["sendable"] is not None,
    )


def query_of(fields: Mapping[str, Sequence[str]], **changed: str | None) -> str:
    """Return the filter's part of an address, with some fields changed; None takes one out."""
    pairs: list[tuple[str, str]] = []
    for name in FIELDS:
        if name in changed:
            value = changed[name]
            pairs += [(name, value)] if value is not None else []
        else:
            pairs += [(name, value) for value in fields.get(name, ()) if value.strip()]
    return urlencode(pairs)
