"""Sessions: who has logged in, for how long. Redis holds only the digest of a cookie's token."""

import dataclasses
import hashlib
import secrets
import time
from typing import Any, Final

import redis

from config import names

IDLE_SECONDS: Final = 3600
"""A session without a page for this long is over."""
_PREFIX: Final = names.CONSOLE_PREFIX + "session:"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login. `stamp`: of the user's password, or of the process whose token it was."""

    name: str
    how: str
    """`password` or `token`."""
    stamp: str


class Sessions:
    """`client` decodes answers. `longest_seconds`: even with a page each minute."""

    def __init__(self, client: redis.Redis, longest_seconds: float) -> None:
        self._client: Any = client
        self._longest = longest_seconds

    def begin(self, session: Session) -> str:
        """Begin a session and return its token. It is always a new one: no visitor brings it."""
        token = secrets.token_urlsafe(32)
        ends = time.time() + self._longest
        pipe = self._client.pipeline()
        pipe.hset(_key(token), mapping={**dataclasses.asdict(session), "ends": ends})
        pipe.expire(_key(token), int(min(IDLE_SECONDS, self._longest)) or 1)
        pipe.execute()
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, and keep it from idling out. None: it is over."""
        kept = self._client.hgetall(_key(token))
        left = float(kept.get("ends", 0)) - time.time()
        if left <= 0:
            return None
        self._client.expire(_key(token), int(min(IDLE_SECONDS, left)) or 1)
        return Session(name=kept["name"], how=kept["how"], stamp=kept["stamp"])

    def end(self, token: str) -> None:
        """End a session."""
        self._client.delete(_key(token))


def _key(token: str) -> str:
    return _PREFIX + hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
