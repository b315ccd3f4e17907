"""HTTP as bytes: what is read from a connection, and what is written to it piece by piece."""

import dataclasses
import enum
import http
import re
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_HEAD_CAP_BYTES: Final = 16_384
_BODY_CAP_BYTES: Final = 1_048_576
_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}


class BadRequest(Exception):  # noqa: N818 - HTTP's own term
    """Bytes that are no HTTP/1.x request; nothing sensible can follow on that connection."""


class Ending(enum.Enum):
    """What becomes of the connection after the last byte."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the client sees: pieces of bytes, each after a pause, then the ending."""

    steps: tuple[tuple[float, bytes], ...] = ()
    """(seconds of silence before it, bytes)"""
    ending: Ending = Ending.KEEP


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request's first part, and how many bytes of body belong to it."""

    method: str
    path: str
    query: str
    length: int
    keep_alive: bool


def read_head(buffer: bytearray) -> Head | None:
    """Take the head of a request off the front of `buffer`, or return None where it is not complete. Raises BadRequest."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _HEAD_CAP_BYTES:
            raise BadRequest
        return None
    head = bytes(buffer[:end])
    del buffer[: end + 4]
    try:
        method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    except (UnicodeDecodeError, ValueError):
        raise BadRequest from None
    if not version.startswith("HTTP/1."):
        raise BadRequest
    path, _, query = target.partition("?")
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    if length > _BODY_CAP_BYTES:
        raise BadRequest
    return Head(
        method=method,
        path=path,
        query=query,
        length=length,
        keep_alive=version == "HTTP/1.1" and not _CLOSE.search(head),
    )


def head(status: int, content_type: str, *headers: str) -> bytes:
    """Return a reply's head, the empty line included."""
    lines = (
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}",
        f"Content-Type: {content_type}",
        *headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def http_reply(status: int, body: bytes, content_type: str, *headers: str) -> bytes:
    """Return a whole reply: head and body in one piece, so that it leaves in one packet."""
    return head(status, content_type, f"Content-Length: {len(body)}", *headers) + body
