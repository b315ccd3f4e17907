"""Digests: names for numbers that nobody can test a guess against without the key.

HMAC-SHA-256, cut to 96 bits; each digest begins with a name of its key, so that a rotation shows.
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


class Digests:
    """Makes digests. Without a key in the settings it asks Redis once, and may raise its errors."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        secret = settings.digest_key
        self._given: Final = secret.get_secret_value().encode() if secret else None

    def number(self, mobile: str) -> str:
        """Return the digest of a number: `<name of the key>.<24 hexadecimal digits>`."""
        digest = hmac.new(self._key, mobile.encode(), hashlib.sha256).hexdigest()
        return f"{self._name}.{digest[:_DIGEST_DIGITS]}"

    @functools.cached_property
    def _key(self) -> bytes:
        if self._given is not None:
            return self._given
        self._client.set(names.DIGEST_KEY, secrets.token_hex(32), nx=True)
        return scripts.text(self._client.get(names.DIGEST_KEY)).encode()

    @functools.cached_property
    def _name(self) -> str:
        return hashlib.sha256(b"name of a key" + self._key).hexdigest()[:_NAME_DIGITS]
