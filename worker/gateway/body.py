"""Reads a reply's body up to a cap, and unpacks it if it is compressed although nobody asked.

Some proxies compress whatever passes. Such a reply is as true as any other: taking it for an
unreadable one would call the phone a second time.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final

import requests

from config.replies import Symptom
from worker.gateway.exchange import Stopped

CAP_BYTES: Final = 64 * 1024
"""Of the body as it arrives, and again of what it unpacks to."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 16 + zlib.MAX_WBITS
_DEFLATE: Final = (zlib.MAX_WBITS, -zlib.MAX_WBITS)
"""With zlib's header as the standard says, or without it as many servers send it."""
_DEFLATE_CLAIM: Final = re.compile(r"\s*deflate\s*", re.IGNORECASE)


def read_body(response: requests.Response) -> bytes:
    """Return the body, unpacked. Raises Stopped if it is over the cap or cannot be unpacked."""
    body = b""
    while piece := response.raw.read(CAP_BYTES + 1 - len(body), decode_content=False):
        body += piece
        if len(body) > CAP_BYTES:
            raise Stopped(Symptom.TOO_LARGE)
    return _unpacked(body, response.headers.get("Content-Encoding", ""))


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Believe gzip by its first bytes, which no text has; deflate has no mark but the header."""
    if body.startswith(_GZIP_MAGIC):
        return _inflated(body, [_GZIP])
    if _DEFLATE_CLAIM.fullmatch(encoding) and not body.lstrip().startswith((b"{", b"<")):
        return _inflated(body, _DEFLATE)
    return body


def _inflated(body: bytes, kinds: Iterable[int]) -> bytes:
    for kind in kinds:
        stream = zlib.decompressobj(kind)
        try:
            text = stream.decompress(body, CAP_BYTES + 1)
        except zlib.error:
            continue
        if len(text) > CAP_BYTES:
            raise Stopped(Symptom.TOO_LARGE, "compressed")
        if not stream.eof:
            raise Stopped(Symptom.TRUNCATED, "compressed")
        return text
    raise Stopped(Symptom.UNREADABLE, "compressed")
