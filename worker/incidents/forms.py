"""Forms: a message as each receiver reads it, signed as each asks for. Pure functions.

DingTalk and Feishu: the robots' own documents. WeCom and Slack sign nothing. JSON is our own form:
`X-Voicecode-Signature` is the hex HMAC-SHA256 of `<timestamp>.<body>`.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from config.replies import ROWS
from config.webhooks import Form, Webhook

SHOWN: Final = (
    *("event", "alert", "incident", "row", "runbook", "count", "seconds", "parked", "refused", "console"),
)
"""What of a log line may leave: nothing that could hold a number, a code or a key."""
_MEANINGS: Final = {row.name: row.meaning for row in ROWS}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be posted."""

    url: str = dataclasses.field(repr=False)
    body: bytes
    headers: Mapping[str, str] = dataclasses.field(repr=False)


def facts_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a log line may leave."""
    return {name: line[name] for name in SHOWN if line.get(name) not in (None, "")}


def link(console_url: str, facts: Mapping[str, Any]) -> str:
    """Return the address of the console's page about an incident."""
    query = urlencode({"row": facts["row"]}) if facts.get("row") else ""
    return f"{console_url}/incident/{quote(str(facts.get('incident') or 'none'), safe='')}?{query}".rstrip(
        "?"
    )


def text_of(facts: Mapping[str, Any]) -> str:
    """Return it as a few lines for people."""
    row = str(facts.get("row", ""))
    first = f"voicecode: {facts['event']}" + (f" ({row})" if row else "")
    rest = [f"{name}: {facts[name]}" for name in SHOWN[2:] if name in facts and name != "row"]
    return "\n".join([first, *([_MEANINGS[row]] if row in _MEANINGS else []), *rest])


def request(webhook: Webhook, facts: Mapping[str, Any], *, now: float) -> Request:
    """Return the request. `now`: epoch seconds, which a signature holds."""
    url, body, headers = _FORMS[webhook.form](webhook, facts, now)
    return Request(url=url, body=body, headers={"Content-Type": "application/json; charset=utf-8", **headers})


def taken(webhook: Webhook, status: int, reply: str) -> bool:
    """Return whether the receiver took it. The Chinese robots answer 200 and say so in the body."""
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's
        return False
    if webhook.form in {Form.SLACK, Form.JSON}:
        return True
    try:
        said = json.loads(reply)
        return int(said.get("errcode", said.get("code", said.get("StatusCode", 0)))) == 0
    except (ValueError, TypeError, AttributeError):
        return False


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _hmac(key: str, text: str) -> bytes:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()


_Built = tuple[str, bytes, dict[str, str]]


def _dingtalk(webhook: Webhook, facts: Mapping[str, Any], now: float) -> _Built:
    url = webhook.url
    if webhook.secret:
        stamp = str(int(now * 1000))
        sign = base64.b64encode(_hmac(webhook.secret, f"{stamp}\n{webhook.secret}")).decode()
        url += ("&" if urlsplit(url).query else "?") + urlencode({"timestamp": stamp, "sign": sign})
    return url, _dumped({"msgtype": "text", "text": {"content": text_of(facts)}}), {}


def _wecom(webhook: Webhook, facts: Mapping[str, Any], _now: float) -> _Built:
    return webhook.url, _dumped({"msgtype": "text", "text": {"content": text_of(facts)}}), {}


def _feishu(webhook: Webhook, facts: Mapping[str, Any], now: float) -> _Built:
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": text_of(facts)}}
    if webhook.secret:
        stamp = str(int(now))
        sign = base64.b64encode(_hmac(f"{stamp}\n{webhook.secret}", "")).decode()
        body |= {"timestamp": stamp, "sign": sign}
    return webhook.url, _dumped(body), {}


def _slack(webhook: Webhook, facts: Mapping[str, Any], _now: float) -> _Built:
    return webhook.url, _dumped({"text": text_of(facts)}), {}


def _json(webhook: Webhook, facts: Mapping[str, Any], now: float) -> _Built:
    body = _dumped({**facts, "text": text_of(facts)})
    stamp = str(int(now))
    headers = {"X-Voicecode-Timestamp": stamp}
    if webhook.secret:
        signed = _hmac(webhook.secret, f"{stamp}.{body.decode()}").hex()
        headers["X-Voicecode-Signature"] = signed
    return webhook.url, body, headers


_FORMS: Final[Mapping[Form, Callable[[Webhook, Mapping[str, Any], float], _Built]]] = {
    Form.DINGTALK: _dingtalk,
    Form.WECOM: _wecom,
    Form.FEISHU: _feishu,
    Form.SLACK: _slack,
    Form.JSON: _json,
}
