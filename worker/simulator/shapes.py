"""The forms in which an accepted reply may arrive. Each means that the call was accepted."""

import gzip
import zlib
from collections.abc import Callable
from typing import Final

from worker.simulator import bodies
from worker.simulator.bodies import HTML, JSON, NAMESPACES, XML, Answer, as_json, as_object, as_xml
from worker.simulator.wire import Ending, Response, head, http_reply

Shape = Callable[[Answer, float], Response]
"""(the answer, the scenario's argument in seconds) -> what the client sees"""

SLOW_SECONDS: Final = 2.0


def _one(body: bytes, content_type: str, *headers: str) -> Response:
    return Response(steps=((0.0, http_reply(200, body, content_type, *headers)),))


def _wrapped(answer: Answer, _seconds: float) -> Response:
    return _one(as_json({"SubmitResult": as_object(answer)}).encode(), JSON)


def _code_as_string(answer: Answer, _seconds: float) -> Response:
    return _one(as_json(as_object(answer) | {"code": str(answer.code)}).encode(), JSON)


def _id_as_number(answer: Answer, _seconds: float) -> Response:
    return _one(as_json(as_object(answer) | {"smsid": int(answer.voice_id)}).encode(), JSON)


def _no_id(answer: Answer, _seconds: float) -> Response:
    return _one(as_json(as_object(answer) | {"smsid": 0}).encode(), JSON)


def _in_namespace(namespace: str) -> Shape:
    return lambda answer, _seconds: _one(as_xml(answer, namespace=namespace).encode(), XML)


def _prefixed(answer: Answer, _seconds: float) -> Response:
    text = as_xml(answer, namespace="")
    for name in ("SubmitResult", "code", "msg", "voiceid"):
        text = text.replace(f"<{name}>", f"<s:{name}>").replace(f"</{name}>", f"</s:{name}>")
    return _one(text.replace("<s:SubmitResult>", f'<s:SubmitResult xmlns:s="{NAMESPACES[0]}">').encode(), XML)


def _chunked(answer: Answer, _seconds: float) -> Response:
    body = as_json(as_object(answer)).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    return Response(steps=((0.0, head(200, JSON, "Transfer-Encoding: chunked") + chunks),))


def _until_close(answer: Answer, _seconds: float) -> Response:
    body = as_json(as_object(answer)).encode()
    return Response(steps=((0.0, head(200, JSON, "Connection: close") + body),), ending=Ending.CLOSE)


def _with_status_500(answer: Answer, _seconds: float) -> Response:
    return Response(steps=((0.0, http_reply(500, as_json(as_object(answer)).encode(), JSON)),))


def _slow(answer: Answer, seconds: float) -> Response:
    body, content_type = bodies.plain(answer, "json")
    return Response(steps=((seconds or SLOW_SECONDS, http_reply(200, body, content_type)),))


def _json(answer: Answer, *, id_name: str = "smsid") -> str:
    return as_json(as_object(answer, id_name=id_name))


SHAPES: Final[tuple[tuple[str, str, Shape], ...]] = (
    ("json", "flat JSON, an id of 20 digits as a string", lambda a, _s: _one(_json(a).encode(), JSON)),
    ("json_wrapped", "JSON inside `SubmitResult`", _wrapped),
    ("json_code_as_string", 'JSON, `"code":"2"`', _code_as_string),
    ("json_id_as_number", "JSON, an id of 20 digits as a number", _id_as_number),
    (
        "json_voiceid",
        "JSON, the id called `voiceid`",
        lambda a, _s: _one(_json(a, id_name="voiceid").encode(), JSON),
    ),
    ("json_no_id", "JSON, `smsid` is 0: no id", _no_id),
    (
        "json_bom",
        "JSON behind a byte order mark",
        lambda a, _s: _one(b"\xef\xbb\xbf" + _json(a).encode(), JSON),
    ),
    (
        "json_gbk",
        "JSON in GBK, declared in the header",
        lambda a, _s: _one(_json(a).encode("gbk"), "application/json; charset=gbk"),
    ),
    (
        "json_gbk_undeclared",
        "JSON in GBK, undeclared",
        lambda a, _s: _one(_json(a).encode("gbk"), "application/json"),
    ),
    ("json_as_html", "JSON under `text/html`", lambda a, _s: _one(_json(a).encode(), HTML)),
    ("xml", "XML in the namespace `http://106.ihuyi.com/`", _in_namespace(NAMESPACES[0])),
    ("xml_cn", "XML in the namespace `http://106.ihuyi.cn/`", _in_namespace(NAMESPACES[1])),
    ("xml_address", "XML in the namespace `http://121.199.16.178/`", _in_namespace(NAMESPACES[2])),
    ("xml_bare", "XML without a namespace", _in_namespace("")),
    ("xml_prefixed", "XML, every element with a prefix", _prefixed),
    ("xml_smsid", "XML, the id called `smsid`", lambda a, _s: _one(as_xml(a, id_name="smsid").encode(), XML)),
    (
        "xml_bom",
        "XML behind a byte order mark",
        lambda a, _s: _one(b"\xef\xbb\xbf" + as_xml(a).encode(), XML),
    ),
    (
        "xml_gbk",
        "XML in GBK, declared in the XML",
        lambda a, _s: _one(as_xml(a, encoding="gbk").encode("gbk"), "text/xml"),
    ),
    ("chunked", "JSON, `Transfer-Encoding: chunked`", _chunked),
    ("until_close", "JSON without a length: it ends with the connection", _until_close),
    (
        "cookie",
        "JSON and a cookie",
        lambda a, _s: _one(_json(a).encode(), JSON, "Set-Cookie: session=1; Path=/"),
    ),
    ("http_500_accepted", "HTTP 500 around an accepted reply", _with_status_500),
    ("slow", f"a JSON reply after {SLOW_SECONDS:g} s (or `slow:SECONDS`)", _slow),
    (
        "json_gzip",
        "JSON, gzip though identity was asked for",
        lambda a, _s: _one(gzip.compress(_json(a).encode()), JSON, "Content-Encoding: gzip"),
    ),
    (
        "json_deflate",
        "JSON, deflate though identity was asked for",
        lambda a, _s: _one(zlib.compress(_json(a).encode()), JSON, "Content-Encoding: deflate"),
    ),
    (
        "keep_alive_short",
        "JSON, `Keep-Alive: timeout=1`: the connection must not be used again",
        lambda a, _s: _one(_json(a).encode(), JSON, "Keep-Alive: timeout=1"),
    ),
)
"""(name, what it is, how it is made). Magic numbers hold the index: append, never reorder."""
