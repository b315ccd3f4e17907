"""Digests: names for numbers and contents. Without the key nobody can test a guess.

HMAC-SHA-256, cut to 96 bits. Each digest begins with a name of its key.
During a rotation two keys are set, and a text has a digest under each, separated by a space, the
newest first.
"""

import functools
import hashlib
import secrets
from typing import Any, Final

from config import names
from config.settings import Settings
from worker.store import scripts

_NAME_DIGITS: Final = 4
_DIGEST_DIGITS: Final = 24
_ID_DIGITS: Final = 32
_CACHED: Final = 1024
_BLOCK: Final = 64


class Digests:
    """Makes digests. Without a key in the settings it asks Redis once, and may raise its errors."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._given: Final = settings.digest_keys
        self.ready = False
        """Whether the keys are known."""
        # A code's digests are asked for when it is claimed, and again when its attempt ends.
        self._words = functools.lru_cache(maxsize=_CACHED)(self._make)

    def load(self) -> None:
        """Make sure that the keys are known. From then on no method needs Redis."""
        self.ready = bool(self._keys)

    def number(self, mobile: str) -> str:
        """Return `<name of the key>.<24 hexadecimal digits>` for a number, once for each key."""
        return self._words("number", mobile)

    def content(self, mobile: str, code: str) -> str:
        """Return the same for a number with its code: a duplicate has the same one."""
        return self._words("content", mobile, code)

    def raw(self, raw: str | bytes) -> str:
        """Return the same for a message that cannot be called."""
        return self._make("raw", raw if isinstance(raw, str) else raw.hex())

    def name(self, text: str) -> str:
        """Return 32 hexadecimal digits in place of an id that may hold a number.

        Under the oldest key: the name stays while a rotation goes on.
        """
        return self._keys[-1].digest("id", text)[:_ID_DIGITS]

    @functools.cached_property
    def salt(self) -> str:
        """What the scripts put before bytes that only they have seen, when they name them."""
        return self._keys[0].digest("salt")[:_ID_DIGITS]

    def is_current(self, digest: str) -> bool:
        """Tell whether a digest was made with one of the keys that are set."""
        return digest.partition(".")[0] in {key.name for key in self._keys} and "." in digest

    def _make(self, *parts: str) -> str:
        return " ".join(f"{key.name}.{key.digest(*parts)[:_DIGEST_DIGITS]}" for key in self._keys)

    @functools.cached_property
    def _keys(self) -> tuple["_Key", ...]:
        """The keys, the newest first."""
        given = self._given or (self._left_in_redis(),)
        return tuple(_Key(secret.encode()) for secret in given)

    def _left_in_redis(self) -> str:
        found = self._client.get(names.DIGEST_KEY)
        if not found:  # who only reads may not set one
            self._client.set(names.DIGEST_KEY, secrets.token_hex(32), nx=True)
            found = self._client.get(names.DIGEST_KEY)
        return scripts.text(found)


class _Key:
    """One key. The two hashes of HMAC begin with it, which is done once: a third of the time."""

    def __init__(self, key: bytes) -> None:
        self.name: Final = hashlib.sha256(b"name of a key" + key).hexdigest()[:_NAME_DIGITS]
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, *parts: str) -> str:
        """Return HMAC-SHA-256 of the parts as 64 hexadecimal digits (RFC 2104)."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update("\0".join(parts).encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.hexdigest()
