"""Users: names, roles and scrypt hashes, kept in Redis so that every console knows them."""

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import secrets
import threading
from typing import Any, Final

import redis

from config import names
from worker.console.access.roles import Role

LEAST_PASSWORD: Final = 12
_KEY: Final = names.CONSOLE_PREFIX + "users"
_NAME: Final = re.compile(r"[\w.@-]{1,64}")
COST: Final = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
"""32 MB and about a tenth of a second for each check."""
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Checks at one time: strangers shall not fill the memory."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user. `stamp`: changes with the password, and ends the sessions of the old one."""

    name: str
    role: Role
    stamp: str


class Users:
    """`client` decodes answers. Every method may raise redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def put(self, name: str, password: str, role: Role) -> bool:
        """Add a user, or replace one; return whether it is new. Raises ValueError."""
        if not _NAME.fullmatch(name):
            message = "a name has 1 to 64 letters, digits and . _ @ -"
            raise ValueError(message)
        if len(password) < LEAST_PASSWORD:
            message = f"a password has {LEAST_PASSWORD} characters or more"
            raise ValueError(message)
        salt = secrets.token_bytes(16)
        kept = {
            "role": role.value,
            "stamp": secrets.token_hex(8),
            "salt": base64.b64encode(salt).decode(),
            "hash": base64.b64encode(_hash(password, salt)).decode(),
        }
        return bool(self._client.hset(_KEY, name, json.dumps(kept)))

    def remove(self, name: str) -> bool:
        """Remove a user, and so end his sessions; return whether there was one."""
        return bool(self._client.hdel(_KEY, name))

    def get(self, name: str) -> User | None:
        """Return a user, None if there is none of this name."""
        kept = self._client.hget(_KEY, name)
        return _user(name, json.loads(kept)) if kept else None

    def all(self) -> tuple[User, ...]:
        """Return all users, by name."""
        found = self._client.hgetall(_KEY)
        return tuple(_user(name, json.loads(kept)) for name, kept in sorted(found.items()))

    def check(self, name: str, password: str) -> User | None:
        """Return the user if the password is his. An unknown name takes as long as a wrong one."""
        kept = self._client.hget(_KEY, name)
        known = json.loads(kept) if kept else {"salt": "", "hash": ""}
        with _AT_ONCE:
            given = _hash(password, base64.b64decode(known["salt"]) or b"nobody")
        right = hmac.compare_digest(given, base64.b64decode(known["hash"]))
        return _user(name, known) if right else None


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, **COST)


def _user(name: str, kept: dict[str, str]) -> User:
    return User(name=name, role=Role(kept["role"]), stamp=kept["stamp"])
