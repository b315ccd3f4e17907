"""Reads a reply's body, XML or JSON in whatever encoding, into a Reply."""

import codecs
import email.utils
import json
import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

from config.masking import mask_text
from config.replies import Symptom
from worker.reply import Reply

SUBMIT_RESULT: Final = "SubmitResult"
BALANCE_RESULT: Final = "GetNumResult"
MESSAGE_CAP: Final = 200

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CLAIMS: Final = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
}
"""Encodings that are believed when claimed. Latin-1 is not: it decodes any bytes, and servers claim
it by default."""
_XML_CLAIM: Final = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_HTTP_CLAIM: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE)
_XML_DECLARATION: Final = re.compile(r"<\?xml[^>]*\?>")
_HTML: Final = re.compile(r"<!DOCTYPE\s+html\b|<html\b", re.IGNORECASE)
_HOSTILE: Final = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")
_ID: Final = re.compile(r"(?!0*\Z)[0-9A-Za-z_-]{1,64}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class _UnreadableError(Exception):
    """The text is neither the XML nor the JSON of the contract."""


def parse(body: bytes, content_type: str = "", *, result: str = SUBMIT_RESULT) -> Reply:
    """Read a reply's body: code, message, id and balance, or symptom `unreadable` or `hostile_xml`.

    Never raises. Only the charset of `content_type` is believed. `result`: the name that wraps the
    reply.
    """
    try:
        text = _decode(body, content_type).strip("\ufeff \t\r\n")
        if text.startswith("<"):
            if _HTML.match(text):
                return Reply(symptom=Symptom.UNREADABLE, detail="HTML")
            if _HOSTILE.search(text):
                return Reply(symptom=Symptom.HOSTILE_XML)
            fields = _xml_fields(text, result)
        else:
            fields = _json_fields(text, result)
        return _reply(fields)
    except (_UnreadableError, ValueError, ET.ParseError, RecursionError) as error:
        return Reply(
            symptom=Symptom.UNREADABLE,
            detail="" if isinstance(error, _UnreadableError) else type(error).__name__,
        )


def retry_after(value: str | None, *, now: float) -> float | None:
    """Return the header `Retry-After`, seconds or an HTTP date, as seconds from `now` (epoch).

    None if it says nothing usable.
    """
    if not value:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def _decode(body: bytes, content_type: str) -> str:
    for encoding in _encodings(body, content_type):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    message = "encoding"
    raise _UnreadableError(message)


def _encodings(body: bytes, content_type: str) -> Iterator[str]:
    yield from (encoding for bom, encoding in _BOMS if body.startswith(bom))
    claims = [m[1].decode() for m in (_XML_CLAIM.match(body),) if m] + [
        m[1] for m in (_HTTP_CLAIM.search(content_type),) if m
    ]
    yield from (_CLAIMS[claim.lower()] for claim in claims if claim.lower() in _CLAIMS)
    yield "utf-8"
    yield "gb18030"


def _xml_fields(text: str, result: str) -> dict[str, Any]:
    root = ET.fromstring(_XML_DECLARATION.sub("", text, count=1))  # noqa: S314 - no document type, so no entities
    if _local(root.tag) != result:
        raise _UnreadableError
    return _unique([(_local(child.tag), (child.text or "").strip()) for child in root])


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _json_fields(text: str, result: str) -> dict[str, Any]:
    fields = _DECODER.decode(text)
    if isinstance(fields, dict) and "code" not in fields:
        fields = fields.get(result)
    if not isinstance(fields, dict):
        raise _UnreadableError
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _UnreadableError
    return fields


def _refuse(constant: str) -> None:
    raise _UnreadableError(constant)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
"""Made once: making a decoder costs more than decoding a reply."""


def _reply(fields: dict[str, Any]) -> Reply:
    code = _integer(fields.get("code"))
    if code is None:
        raise _UnreadableError
    return Reply(
        code=code,
        message=_message(fields.get("msg")),
        voice_id=_id(fields.get("smsid")) or _id(fields.get("voiceid")),
        balance=_integer(fields.get("num")),
    )


def _message(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    # JSON can spell half a surrogate pair, which cannot be encoded as UTF-8 later.
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    # Masked before it is cut: part of a number would no longer be recognised.
    return mask_text("".join(filter(str.isprintable, text)))[:MESSAGE_CAP]


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else None


def _id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip() if isinstance(value, str) and _ID.fullmatch(value.strip()) else None
