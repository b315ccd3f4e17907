"""Digests: names for numbers and contents. Without the key nobody can test a guess.

HMAC-SHA-256, cut to 96 bits. Each digest begins with a name of its key.
During a rotation two keys are set, and a text has a digest under each, separated by a space, the
newest first.
"""

import functools
import hashlib
import hmac
import secrets
from typing import Any, Final

from config import names
from config.settings import Settings
from worker.store import scripts

_NAME_DIGITS: Final = 4
_DIGEST_DIGITS: Final = 24
_ID_DIGITS: Final = 32
_CACHED: Final = 1024


class Digests:
    """Makes digests. Without a key in the settings it asks Redis once, and may raise its errors."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._given: Final = settings.digest_keys
        # A code's digests are asked for when it is claimed, and again when its attempt ends.
        self._words = functools.lru_cache(maxsize=_CACHED)(self._make)

    @property
    def ready(self) -> bool:
        """Whether the keys are known, so that no method needs Redis any more."""
        return "_keys" in vars(self)

    def load(self) -> None:
        """Make sure that the keys are known."""
        _ = self._keys

    def number(self, mobile: str) -> str:
        """Return `<name of the key>.<24 hexadecimal digits>` for a number, once for each key."""
        return self._words("number", mobile)

    def content(self, mobile: str, code: str) -> str:
        """Return the same for a number with its code: a duplicate has the same one."""
        return self._words("content", mobile, code)

    def raw(self, raw: str | bytes) -> str:
        """Return the same for a message that cannot be called."""
        return self._words("raw", raw if isinstance(raw, str) else raw.hex())

    def name(self, text: str) -> str:
        """Return 32 hexadecimal digits in place of an id that may hold a number.

        Under the oldest key: the name stays while a rotation goes on.
        """
        return self._digest(self._keys[-1][1], "id", text)[:_ID_DIGITS]

    @functools.cached_property
    def salt(self) -> str:
        """What the scripts put before bytes that only they have seen, when they name them."""
        return self._digest(self._keys[0][1], "salt")[:_ID_DIGITS]

    def is_current(self, digest: str) -> bool:
        """Tell whether a digest was made with one of the keys that are set."""
        return digest.partition(".")[0] in {name for name, _ in self._keys} and "." in digest

    def _make(self, *parts: str) -> str:
        return " ".join(f"{name}.{self._digest(key, *parts)[:_DIGEST_DIGITS]}" for name, key in self._keys)

    @staticmethod
    def _digest(key: bytes, *parts: str) -> str:
        return hmac.digest(key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256").hex()

    @functools.cached_property
    def _keys(self) -> tuple[tuple[str, bytes], ...]:
        """The keys with their names, the newest first."""
        given = self._given or (self._left_in_redis(),)
        return tuple((_name_of(secret.encode()), secret.encode()) for secret in given)

    def _left_in_redis(self) -> str:
        found = self._client.get(names.DIGEST_KEY)
        if not found:  # who only reads may not set one
            self._client.set(names.DIGEST_KEY, secrets.token_hex(32), nx=True)
            found = self._client.get(names.DIGEST_KEY)
        return scripts.text(found)


def _name_of(key: bytes) -> str:
    return hashlib.sha256(b"name of a key" + key).hexdigest()[:_NAME_DIGITS]
