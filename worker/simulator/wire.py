"""HTTP as bytes: reads requests from a connection, and writes replies piece by piece."""

import base64
import binascii
import dataclasses
import enum
import http
import re
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_PROXY_USER: Final = re.compile(rb"\r\nproxy-authorization:[ \t]*basic[ \t]+([A-Za-z0-9+/=]+)", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"http://[^/]*", re.IGNORECASE)
_HEAD_CAP_BYTES: Final = 16_384
_BODY_CAP_BYTES: Final = 1_048_576
_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}


class BadRequest(Exception):  # noqa: N818 - HTTP's own term
    """Bytes that are no HTTP/1.x request. The rest of the connection cannot be read."""


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
    """A request's head, and the length of its body in bytes."""

    method: str
    path: str
    query: str
    length: int
    keep_alive: bool
    address: str | None = None
    """The client's address where it uses the simulator as its HTTP proxy: the proxy's user."""


def read_head(buffer: bytearray) -> Head | None:
    """Take a request's head off the front of `buffer`; None if incomplete. Raises BadRequest."""
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
    path, _, query = _ABSOLUTE.sub("", target, count=1).partition("?")
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
        address=_proxy_user(head),
    )


def _proxy_user(head: bytes) -> str | None:
    found = _PROXY_USER.search(head)
    if not found:
        return None
    try:
        return base64.b64decode(found[1], validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest from None


def head(status: int, content_type: str, *headers: str) -> bytes:
    """Return a reply's head with its empty line."""
    lines = (
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}",
        f"Content-Type: {content_type}",
        *headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def http_reply(status: int, body: bytes, content_type: str, *headers: str) -> bytes:
    """Return a whole reply, head and body in one piece: it leaves in one packet."""
    return head(status, content_type, f"Content-Length: {len(body)}", *headers) + body


def closing(response: Response) -> Response:
    """Return the response with the header `Connection: close`, closing its connection."""
    if response.ending is not Ending.KEEP or not response.steps:
        return response
    (pause, data), *rest = response.steps
    status, _, more = data.partition(b"\r\n")
    first = (pause, status + b"\r\nConnection: close\r\n" + more if more else data)
    return Response(steps=(first, *rest), ending=Ending.CLOSE)
