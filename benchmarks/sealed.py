"""Sealed: ours with codes that their producer sealed, beside ours with codes in clear."""

import base64
import functools
import json
from typing import Any, Final

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import x25519

from config import names
from worker.sealing import new_key
from worker.sealing.seals import PAIR_BYTES

LEAST_THROUGHPUT: Final = 0.9
_ID: Final = "bench"
_DIGEST_KEY: Final = "the key of the digests in this benchmark"


@functools.cache
def keys() -> tuple[str, str]:
    """Return the private key and the public one of this run."""
    return new_key()


def settings(*, sealed: bool) -> dict[str, Any]:
    """Return what a worker is given. Both sides have a key of the digests."""
    seal_keys = {"seal_keys": f"{_ID}:{keys()[0]}"} if sealed else {}
    return {"digest_key": _DIGEST_KEY, **seal_keys}


def seal(mobile: str, code: str, key: str) -> str:
    """Seal one pair as docs/producing.md does: a worker agrees on a key for each of these."""
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    recipient = x25519.X25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(keys()[1] + "="))
    pair = json.dumps([mobile, code]).encode().ljust(PAIR_BYTES)
    sealed = suite.encrypt(pair, recipient, info=f"voicecode/1 {names.SEND_TASK} {key}".encode())
    return f"{_ID}.{base64.urlsafe_b64encode(sealed).decode()}"
