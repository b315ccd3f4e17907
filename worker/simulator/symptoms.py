"""What a network can do instead of replying, as far as a server can imitate it."""

import gzip
from collections.abc import Callable
from typing import Final

from config.replies import Symptom, symptom_of_http
from worker.simulator.bodies import HTML, XML, Answer, as_json, as_object
from worker.simulator.wire import Ending, Response, head, http_reply

Fault = Callable[[Answer, float], Response]
"""(what would have been answered, the scenario's argument in seconds) -> what the client sees"""

SILENT_SECONDS: Final = 30.0
DRIP_SECONDS: Final = 0.2
RETRY_AFTER_SECONDS: Final = 2.0
REDIRECT_PATH: Final = "/moved"
LARGE_BYTES: Final = 1_048_576

_PAGE: Final = "<html><head><title>网站维护</title></head><body>please come back later</body></html>"
_DOCTYPE: Final = '<?xml version="1.0"?><!DOCTYPE SubmitResult SYSTEM "http://127.0.0.1:9/x.dtd"><SubmitResult><code>2</code></SubmitResult>'
_BOMB: Final = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><SubmitResult><code>2</code><msg>&a9;</msg></SubmitResult>"
)
_RETRY_AFTER: Final = (429, 503)


def _reset(_answer: Answer, _seconds: float) -> Response:
    return Response(ending=Ending.RESET)


def _closed(_answer: Answer, _seconds: float) -> Response:
    return Response(ending=Ending.CLOSE)


def _silent(_answer: Answer, seconds: float) -> Response:
    return Response(steps=((seconds or SILENT_SECONDS, b""),), ending=Ending.CLOSE)


def _good(answer: Answer) -> tuple[bytes, bytes]:
    body = as_json(as_object(answer)).encode()
    return head(200, "application/json", f"Content-Length: {len(body)}"), body


def _drip(data: bytes, seconds: float) -> tuple[tuple[float, bytes], ...]:
    return tuple((seconds or DRIP_SECONDS, data[n : n + 1]) for n in range(len(data)))


def _drip_header(answer: Answer, seconds: float) -> Response:
    header, body = _good(answer)
    return Response(steps=(*_drip(header, seconds), (0.0, body)))


def _drip_body(answer: Answer, seconds: float) -> Response:
    header, body = _good(answer)
    return Response(steps=((0.0, header), *_drip(body, seconds)))


def _truncated(answer: Answer, _seconds: float) -> Response:
    header, body = _good(answer)
    return Response(steps=((0.0, header + body[: len(body) // 2]),), ending=Ending.CLOSE)


def _page(body: str | bytes, content_type: str = HTML) -> Fault:
    data = body.encode() if isinstance(body, str) else body
    reply = Response(steps=((0.0, http_reply(200, data, content_type)),))
    return lambda _answer, _seconds: reply


def _large(_answer: Answer, _seconds: float) -> Response:
    body = b'{"code":2,"msg":"' + b"x" * LARGE_BYTES + b'"}'
    return Response(steps=((0.0, http_reply(200, body, "application/json")),))


def _gzip_bomb(_answer: Answer, _seconds: float) -> Response:
    body = gzip.compress(b'{"code":2,"msg":"' + b" " * LARGE_BYTES + b'"}')
    return Response(steps=((0.0, http_reply(200, body, "application/json", "Content-Encoding: gzip")),))


def _redirect(status: int) -> Fault:
    reply = Response(steps=((0.0, http_reply(status, b"", HTML, f"Location: {REDIRECT_PATH}")),))
    return lambda _answer, _seconds: reply


def _http(status: int) -> Fault:
    def reply(_answer: Answer, seconds: float) -> Response:
        headers = (f"Retry-After: {seconds or RETRY_AFTER_SECONDS:g}",) if status in _RETRY_AFTER else ()
        return Response(steps=((0.0, http_reply(status, _PAGE.encode(), HTML, *headers)),))

    return reply


def _http_row(status: int) -> tuple[str, str, Symptom, bool, Fault]:
    more = (
        f", `Retry-After: {RETRY_AFTER_SECONDS:g}` (or `http_{status}:SECONDS`)"
        if status in _RETRY_AFTER
        else ""
    )
    return (
        f"http_{status}",
        f"HTTP {status}{more}",
        symptom_of_http(status) or Symptom.UNREADABLE,
        False,
        _http(status),
    )


SYMPTOMS: Final[tuple[tuple[str, str, Symptom, bool, Fault], ...]] = (
    ("reset_before_reading", "reset; no call is placed", Symptom.RESET, False, _reset),
    ("reset_after_reading", "reset after the form was read; no call is placed", Symptom.RESET, False, _reset),
    ("closed_without_reply", "closed after the form was read; no call is placed", Symptom.RESET, False, _closed),
    ("silent", f"nothing for {SILENT_SECONDS:g} s (or `silent:SECONDS`), then closed; no call is placed", Symptom.READ_TIMEOUT, False, _silent),
    ("drip_header", f"a reply whose header comes a byte each {DRIP_SECONDS:g} s (or `drip_header:SECONDS`)", Symptom.DEADLINE, True, _drip_header),
    ("drip_body", f"a reply whose body comes a byte each {DRIP_SECONDS:g} s (or `drip_body:SECONDS`)", Symptom.DEADLINE, True, _drip_body),
    ("truncated", "half of a reply, then closed", Symptom.TRUNCATED, True, _truncated),
    ("html", "HTTP 200 and a web page", Symptom.UNREADABLE, False, _page(_PAGE)),
    ("empty", "HTTP 200 and no body", Symptom.UNREADABLE, False, _page(b"")),
    ("garbled", "HTTP 200 and bytes that are not text", Symptom.UNREADABLE, False, _page(bytes(range(128, 256)))),
    ("large", "HTTP 200 and a body of 1 MB", Symptom.TOO_LARGE, False, _large),
    ("doctype", "XML with a DOCTYPE that points elsewhere", Symptom.HOSTILE_XML, False, _page(_DOCTYPE, XML)),
    ("entity_bomb", "XML whose entities unfold to 2 GB", Symptom.HOSTILE_XML, False, _page(_BOMB, XML)),
    ("redirect_302", "HTTP 302 to a path that counts its visitors", Symptom.HTTP_3XX, False, _redirect(302)),
    ("redirect_307", "HTTP 307 to a path that counts its visitors", Symptom.HTTP_3XX, False, _redirect(307)),
    *(_http_row(status) for status in (400, 401, 403, 404, 405, 408, 413, 421, 425, 429, 500, 502, 503, 504)),
    ("accepted_then_reset", "the call is placed, and the reply is lost by a reset", Symptom.RESET, True, _reset),
    ("accepted_then_closed", "the call is placed, and the connection closed without a reply", Symptom.RESET, True, _closed),
    ("accepted_then_silent", f"the call is placed, and no reply comes for {SILENT_SECONDS:g} s", Symptom.READ_TIMEOUT, True, _silent),
    ("accepted_then_504", "the call is placed, and a proxy answers 504", Symptom.HTTP_5XX, True, _http(504)),
    ("gzip_bomb", "HTTP 200 and gzip of 1 KB that unpacks to 1 MB", Symptom.TOO_LARGE, False, _gzip_bomb),
)  # fmt: skip
"""(name, what it is, the symptom a worker should find, whether a call is placed, how it is made).

Magic numbers hold the index: append, never reorder.
"""
