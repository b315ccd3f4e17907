"""The gateway's reply bodies, in JSON and XML."""

import dataclasses
import json
from typing import Any, Final
from xml.sax.saxutils import escape

JSON: Final = "application/json; charset=utf-8"
XML: Final = "text/xml; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

NAMESPACES: Final = ("http://106.ihuyi.com/", "http://106.ihuyi.cn/", "http://121.199.16.178/")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The content of a reply, whatever its form."""

    code: int
    message: str
    voice_id: str = "0"
    balance: int | None = None
    """Only in the reply to GetNum, in place of the id."""


def as_object(answer: Answer, *, id_name: str = "smsid") -> dict[str, Any]:
    """Return the fields of a flat JSON reply."""
    last: dict[str, Any] = {id_name: answer.voice_id} if answer.balance is None else {"num": answer.balance}
    return {"code": answer.code, "msg": answer.message, **last}


def as_json(fields: dict[str, Any]) -> str:
    """Return JSON as the gateway writes it: unescaped Chinese, no spaces."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def as_xml(
    answer: Answer, *, namespace: str = NAMESPACES[0], id_name: str = "voiceid", encoding: str = "utf-8"
) -> str:
    """Return an XML reply; an empty namespace leaves the attribute out."""
    root = "SubmitResult" if answer.balance is None else "GetNumResult"
    last = (
        f"<{id_name}>{answer.voice_id}</{id_name}>"
        if answer.balance is None
        else f"<num>{answer.balance}</num>"
    )
    attribute = f' xmlns="{namespace}"' if namespace else ""
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<{root}{attribute}>\n'
        f"<code>{answer.code}</code>\n<msg>{escape(answer.message)}</msg>\n{last}\n</{root}>"
    )


def plain(answer: Answer, asked_format: str) -> tuple[bytes, str]:
    """Return body and content type of a usual reply: JSON if it was asked for, else XML."""
    if asked_format == "json":
        return as_json(as_object(answer)).encode(), JSON
    return as_xml(answer).encode(), XML
