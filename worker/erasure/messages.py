"""Messages: those of a person that no worker has claimed yet."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from config import names
from config.masking import holds_number
from worker.message import BadInput, normalise_mobile
from worker.sealing import Seals, opened
from worker.store import keys

_CHUNK: Final = 500
Concerns = Callable[[str], bool]


def remove_messages(client: Any, concerns: Concerns) -> int:
    """Remove the messages that concern somebody, and return how many. `client` decodes answers."""
    removed = 0
    for name in (names.QUEUE, names.HINTS, *keys.PRIORITY_LISTS):
        for item in list(_items(client, name)):
            if concerns(item):
                removed += int(client.lrem(name, 0, item))
    for tag, item in list(client.hscan_iter(names.UNACKED, count=_CHUNK)):
        if concerns(item):
            client.zrem(names.UNACKED_INDEX, tag)
            removed += int(client.hdel(names.UNACKED, tag))
    return removed


def _items(client: Any, name: str) -> Iterator[str]:
    """Return a list's items. Those that are fetched meanwhile are found in `unacked`."""
    if client.type(name) != "list":
        return
    last = -1
    while chunk := client.lrange(name, last - _CHUNK + 1, last):
        yield from reversed(chunk)
        last -= len(chunk)


def of_number(mobile: str, seals: Seals | None = None) -> Concerns:
    """Return a test for messages that hold a number, in whatever encoding kombu may have used."""

    def concerns(item: str) -> bool:
        return any(holds_number(text, mobile) or _sealed_for(text, mobile, seals) for text in _texts(item))

    return concerns


def _sealed_for(text: str, mobile: str, seals: Seals | None) -> bool:
    try:
        named = json.loads(text)[1]
        args, opened_ = opened((), named, seals)
        return not args and normalise_mobile(opened_["mobile"]) == mobile
    except (BadInput, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False


def of_key(key: str) -> Concerns:
    """Return a test for messages that carry a key."""
    quoted = json.dumps(key)
    return lambda item: any(quoted in text for text in _texts(item))


def _texts(item: str) -> Iterator[str]:
    """Return an item as it is, and each base64 text in it decoded."""
    yield item
    try:
        value = json.loads(item)
    except (ValueError, RecursionError):
        return
    if isinstance(value, list) and value:  # as it stands in `unacked`
        value = value[0]
    body = value.get("body") if isinstance(value, dict) else None
    if isinstance(body, str):
        try:
            yield base64.b64decode(body, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            yield body
