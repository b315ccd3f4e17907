"""Tries: how often somebody may try to log in, by address and by name."""

import hashlib
from typing import Any, Final

import redis

from config import names

WINDOW_SECONDS: Final = 600
PER_ADDRESS: Final = 10
PER_NAME: Final = 30
"""Higher: whoever tries a name from many addresses would lock its owner out."""
_PREFIX: Final = names.CONSOLE_PREFIX + "tries:"


class Tries:
    """Counts what failed. `client` decodes answers."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def wait_seconds(self, name: str, address: str) -> int:
        """Count one more try; return how long to wait before the next, 0 if it may be made now."""
        pipe = self._client.pipeline()
        for key in (_key("address", address), _key("name", name)):
            pipe.incr(key)
            pipe.expire(key, WINDOW_SECONDS)
            pipe.ttl(key)
        by_address, _, address_left, by_name, _, name_left = pipe.execute()
        if by_address > PER_ADDRESS:
            return max(1, int(address_left))
        return max(1, int(name_left)) if by_name > PER_NAME else 0

    def forget(self, name: str, address: str) -> None:
        """Forget the tries of somebody who got in."""
        self._client.delete(_key("address", address), _key("name", name))


def _key(kind: str, value: str) -> str:
    return f"{_PREFIX}{kind}:{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:32]}"
