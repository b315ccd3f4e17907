"""Seals: HPKE (RFC 9180) with X25519, HKDF-SHA256 and ChaCha20-Poly1305, base mode.

A sealed pair is `<id of the key>.<base64url of 32 bytes of encapsulated key and the ciphertext>`.
The pair itself is JSON, `["13800138000","0042"]`, filled up with spaces to 48 bytes.
It opens only for the task and the key (of the code) for which it was sealed: both are HPKE's info.
A worker seals many pairs in one context; the pair's number stands between, `<id>.<number>.<...>`.
The key of the code is then HPKE's associated data.
"""

import base64
import binascii
import functools
import json
import os
import re
import types
from typing import Any, Final

from config import names
from config.settings import Settings, SettingsError
from worker.message import VoiceCode
from worker.sealing import context
from worker.sealing.context import ENCAPSULATED_BYTES, Context

PAIR_BYTES: Final = 48
_HEADER_AND_TAG: Final = 48
_LONGEST: Final = 1_000
_FORM: Final = re.compile(r"[A-Za-z0-9-]{1,32}\.(?:[0-9]{1,12}\.)?[A-Za-z0-9_=-]+")
_CONTEXTS: Final = 256
_MANY: Final = f"voicecode/1 {names.SEND_TASK}".encode()


class Unsealable(Exception):  # noqa: N818 - a fact about a pair
    """A pair cannot be opened. The text says why, without any of its bytes.

    `key_is_gone`: it may be sound, but none of the keys here has its id.
    """

    def __init__(self, text: str, *, key_is_gone: bool = False) -> None:
        super().__init__(text)
        self.key_is_gone = key_is_gone


class Seals:
    """Seals with the newest key and opens with any. Raises SettingsError without the extra."""

    def __init__(self, settings: Settings) -> None:
        library = _library()
        self._suite: Final = library.Suite(
            library.KEM.X25519, library.KDF.HKDF_SHA256, library.AEAD.CHACHA20_POLY1305
        )
        self._private: Final[dict[str, Any]] = {
            key_id: library.X25519PrivateKey.from_private_bytes(secret)
            for key_id, secret in settings.seal_key_pairs
        }
        self.newest: Final = next(iter(self._private))
        """Id of the key under which pairs are sealed."""
        self._sender: tuple[int, Context] | None = None
        """The process that agreed on it, and the context. One assignment: threads seal at once."""
        # Each worker process has a context of its own; agreeing again costs 70 µs.
        self._recipient = functools.lru_cache(maxsize=_CONTEXTS)(self._agree)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the newest first."""
        return tuple(self._private)

    def public(self, key_id: str) -> str:
        """Return a public key for producers, in base64url."""
        return _text(self._private[key_id].public_key().public_bytes_raw())

    def seal(self, mobile: str, code: str, *, key: str) -> str:
        """Return the sealed pair for a code's key."""
        pair = json.dumps([mobile, code], separators=(",", ":")).encode().ljust(PAIR_BYTES)
        process, own = os.getpid(), self._sender
        if own is None or own[0] != process:  # a fork would use the same numbers again
            own = self._sender = process, context.sender(_library(), self._public, _MANY)
        sender = own[1]
        number, sealed = sender.seal(pair, key.encode())
        return f"{self.newest}.{number}.{_text(sender.encapsulated + sealed)}"

    def held(self, code: VoiceCode) -> str:
        """Return the pair as a record holds it: the producer's own, or sealed now."""
        return code.sealed or self.seal(code.mobile, code.code, key=code.key)

    def open(self, sealed: str, *, key: str) -> tuple[Any, Any]:
        """Return number and code as they were sealed, unchecked. Raises Unsealable."""
        key_id, *number, text = sealed.split(".")
        private = self._private.get(key_id)
        if private is None:
            message = "it is sealed under a key that is not here"
            raise Unsealable(message, key_is_gone=True)
        try:
            mobile, code = json.loads(self._pair(key_id, number, _bytes(text), key))
        except Exception:  # noqa: BLE001 - whatever is wrong with foreign bytes
            message = "it cannot be opened: it was sealed for another key or task, or was changed"
            raise Unsealable(message) from None
        return mobile, code

    def _agree(self, key_id: str, encapsulated: bytes) -> Context:
        return context.recipient(_library(), self._private[key_id], encapsulated, _MANY)

    def _pair(self, key_id: str, number: list[str], sealed: bytes, key: str) -> bytes:
        if not number:
            pair: bytes = self._suite.decrypt(sealed, self._private[key_id], info=_info(key))
            return pair
        encapsulated, text = sealed[:ENCAPSULATED_BYTES], sealed[ENCAPSULATED_BYTES:]
        return self._recipient(key_id, encapsulated).open(int(number[0]), text, key.encode())

    @functools.cached_property
    def _public(self) -> Any:
        return self._private[self.newest].public_key()


def seals_of(settings: Settings) -> Seals | None:
    """Return the seals, or None if the settings have no keys. Raises SettingsError."""
    return Seals(settings) if settings.seal_key_pairs else None


def id_of(sealed: str) -> str:
    """Return the id of the key under which a pair is sealed."""
    return sealed.partition(".")[0]


def new_key() -> tuple[str, str]:
    """Return a private key and its public one, in base64url. Raises SettingsError."""
    private = _library().X25519PrivateKey.generate()
    return _text(private.private_bytes_raw()), _text(private.public_key().public_bytes_raw())


def has_form(value: Any) -> bool:
    """Tell whether a value has the form of a sealed pair."""
    if not isinstance(value, str) or len(value) > _LONGEST or not _FORM.fullmatch(value):
        return False
    try:
        return len(_bytes(value.rpartition(".")[2])) > _HEADER_AND_TAG
    except (binascii.Error, ValueError):
        return False


def _info(key: str) -> bytes:
    return f"voicecode/1 {names.SEND_TASK} {key}".encode()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


@functools.cache
def _library() -> Any:
    try:
        from cryptography.hazmat.primitives import hpke  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import x25519  # noqa: PLC0415 - the same
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - the same
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - the same
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand  # noqa: PLC0415 - the same
    except ImportError:
        message = "VOICECODE_SEAL_KEYS needs the extra `sealed`: pip install 'voicecode[sealed]'"
        raise SettingsError(message) from None
    return types.SimpleNamespace(
        Suite=hpke.Suite,
        KEM=hpke.KEM,
        KDF=hpke.KDF,
        AEAD=hpke.AEAD,
        X25519PrivateKey=x25519.X25519PrivateKey,
        X25519PublicKey=x25519.X25519PublicKey,
        ChaCha20Poly1305=aead.ChaCha20Poly1305,
        HKDFExpand=HKDFExpand,
        SHA256=SHA256,
    )
