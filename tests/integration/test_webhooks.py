"""A word to people: one message for an incident, one at its end, in the form of each receiver."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from config import webhooks
from config.names import Event
from config.settings import Settings
from tests.support.receiver import Receiver
from tests.support.sandbox import CODE, Sandbox
from tests.support.workers import wait_for
from worker.cli import voicecode
from worker.incidents import forms
from worker.incidents.alerts import Alerts

LINE: Final = {
    "event": "sending.stopped",
    "alert": "page",
    "row": "4051",
    "incident": "sending-1",
    "key": "login:1",
    "mobile": "138****8000",
    "detail": "0042",
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def made(text: str, now: float = 1_764_072_000.5) -> forms.Request:
    (webhook,) = webhooks.read(text)
    return forms.request(webhook, forms.facts_of(LINE), now=now)


@pytest.mark.parametrize("form", [form.value for form in webhooks.Form])
def test_a_message_says_what_happened_and_holds_no_number_code_or_key(form: str) -> None:
    body = made(f"{form}+https://h/x").body.decode()
    assert json.loads(body)
    assert "sending.stopped" in body
    assert "4051" in body
    assert not [secret for secret in ("login:1", "138", "0042") if secret in body]


def test_dingtalk_is_signed_in_the_address() -> None:
    request = made("dingtalk+https://h/send?access_token=t#SECx")
    query = parse_qs(urlsplit(request.url).query)
    expected = hmac.new(b"SECx", b"1764072000500\nSECx", hashlib.sha256).digest()
    assert query == {
        "access_token": ["t"],
        "timestamp": ["1764072000500"],
        "sign": [base64.b64encode(expected).decode()],
    }


def test_feishu_is_signed_in_the_body() -> None:
    body = json.loads(made("feishu+https://h/x#s").body)
    expected = hmac.new(b"1764072000\ns", b"", hashlib.sha256).digest()
    assert (body["timestamp"], body["sign"]) == ("1764072000", base64.b64encode(expected).decode())


def test_json_is_signed_in_a_header() -> None:
    request = made("json+https://h/x#s")
    expected = hmac.new(b"s", b"1764072000." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Voicecode-Signature"] == expected


@pytest.mark.parametrize(
    "text", ["https://h/x", "pager+https://h/x", "slack+ftp://h/x", "slack+https://h/x#s"]
)
def test_what_cannot_be_used_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="alert_webhook"):
        Settings(alert_webhook=text)


def test_an_address_is_never_shown() -> None:
    settings = Settings(alert_webhook="slack+https://hooks.example.com/T000/secret-path")
    (webhook,) = webhooks.read("slack+https://hooks.example.com/T000/secret-path")
    assert "secret-path" not in repr(settings) + repr(webhook)


def test_a_receiver_that_fails_is_tried_again_and_one_robots_no_is_a_no(receiver: Receiver) -> None:
    receiver.replies = [500, 503]
    alerts = Alerts(webhooks.read(f"json+{receiver.url}"), pauses=(0.01, 0.01))
    alerts.start()
    alerts.note(LINE)
    alerts.note({"event": "attempt.finished", "alert": "warn"})
    wait_for(lambda: len(receiver.posted) == 3, 10, "the third try")
    alerts.stop(5)
    assert len(receiver.posted) == 3
    (robot,) = webhooks.read("dingtalk+https://h/x")
    assert not forms.taken(robot, 200, '{"errcode": 310000, "errmsg": "sign not match"}')


def test_the_night_of_the_4051_is_one_message_and_one_at_its_end(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    hook = f"json+{receiver.url}"
    workers = [sandbox.worker(stop_sending=True, alert_webhook=hook) for _ in range(3)]
    sandbox.gateway.balance(0)
    keys = sandbox.send_all(60)
    wait_for(lambda: receiver.posted, 30, "the message")
    sandbox.gateway.top_up(1000)
    sandbox.wait_state(keys)
    wait_for(lambda: len(receiver.posted) >= 2, 30, "the end")
    pages = [line for worker in workers for line in worker.lines() if line.get("alert") == "page"]
    said = [json.loads(body) for _, _, body in receiver.posted]

    assert [(message["event"], message["row"]) for message in said] == [
        (Event.SENDING_STOPPED, "4051"),
        (Event.SENDING_RESUMED, "4051"),
    ]
    assert [page["incident"] for page in pages] == [said[0]["incident"]]
    assert CODE not in json.dumps(said)


def test_alert_test_says_who_takes_it(receiver: Receiver) -> None:
    receiver.replies = [200, 404]
    env = {"VOICECODE_ALERT_WEBHOOK": f"slack+{receiver.url} wecom+{receiver.url}"}
    result = CliRunner(env=env).invoke(voicecode, ["alert", "test"])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "slack     127.0.0.1  taken",
        "wecom     127.0.0.1  refused with HTTP 404",
    ]
    assert CliRunner(env={}).invoke(voicecode, ["alert", "test"]).exit_code == 3


def test_a_message_links_to_the_page_of_its_incident(receiver: Receiver) -> None:
    """Whoever is woken opens the console where it helps."""
    alerts = Alerts(webhooks.read(f"json+{receiver.url}"), console_url="https://console.example.test")
    assert [sent.cause for sent in alerts.send(forms.facts_of(LINE))] == [""]
    said = json.loads(receiver.posted[0][2])
    assert said["console"] == "https://console.example.test/incident/sending-1?row=4051"
    assert f"console: {said['console']}" in said["text"].splitlines()
