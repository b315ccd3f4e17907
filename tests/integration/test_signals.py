"""Celery's signals and task events: true, redacted, and sent only where somebody listens."""

import json
import threading
from typing import Any

from celery import Celery

from config.masking import REDACTED
from tests.support.sandbox import CODE, MOBILE, Sandbox
from tests.support.workers import wait_for
from worker.envelope import Ending, Envelope
from worker.transport.signals import Signals

LISTENING = "tests.support.listening_app"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def send(sandbox: Sandbox, task_id: str, mobile: str = MOBILE, **kwargs: Any) -> None:
    sandbox.producer().send_task(
        "send_voice_code",
        args=[mobile, CODE],
        kwargs={"key": f"key-{task_id}", **kwargs},
        queue="voice_codes",
        task_id=task_id,
        headers={"traceparent": TRACE},
    )


def said(lines: list[dict[str, Any]], task_id: str) -> list[tuple[str, str]]:
    return [
        (line["event"].removeprefix("signal."), line.get("why") or line.get("state") or "")
        for line in lines
        if line.get("about") == task_id
    ]


def test_each_fate_has_its_signals_and_none_holds_a_number_a_code_or_a_key(sandbox: Sandbox) -> None:
    worker = sandbox.worker(app=LISTENING)
    sandbox.gateway.script(refused := "13900000001", ["4085"])
    sandbox.gateway.script(later := "13900000002", ["http_503"])
    send(sandbox, "good")
    send(sandbox, "refused", refused)
    send(sandbox, "later", later)
    send(sandbox, "wrong", "12")
    sandbox.wait_state(["key-good", "key-later"])
    sandbox.wait_state(["key-refused", "key-wrong"], "dead")
    send(sandbox, "again", key="key-good")
    wait_for(lambda: len(worker.lines("signal.postrun")) >= 6, 20, "six ends")
    lines = [line for line in worker.lines() if line["event"].startswith("signal.")]

    assert said(lines, "good") == [("prerun", ""), ("success", ""), ("postrun", "SUCCESS")]
    assert said(lines, "refused") == [
        ("prerun", ""),
        ("failure", "DeadLetter('permanent 4085')"),
        ("postrun", "FAILURE"),
    ]
    assert said(lines, "later") == [
        ("prerun", ""),
        ("retry", "TriedAgain('http_503')"),
        ("postrun", "RETRY"),
    ]
    assert said(lines, "wrong")[1] == ("failure", "DeadLetter('bad_input')")
    assert said(lines, "again") == [("prerun", ""), ("postrun", "IGNORED")]
    (prerun, *_) = worker.lines("signal.prerun")
    assert (prerun["id"], prerun["trace"]) == ("good", TRACE)
    text = json.dumps(lines)
    assert not [secret for secret in (MOBILE, refused, later, CODE, "key-good") if secret in text]


def test_events_show_each_message_with_its_end(sandbox: Sandbox) -> None:
    """As Flower and celery-exporter read them: with a stock app, and `-E` at the worker."""
    found: list[dict[str, Any]] = []
    receivers: list[Any] = []
    app = Celery("monitor", broker=sandbox.url)

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": found.append})
            receivers.append(receiver)
            receiver.capture(limit=None, timeout=60)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    wait_for(lambda: sandbox.redis.exists("_kombu.binding.celeryev"), 20, "a listener")
    sandbox.worker(options=("-E",))
    sandbox.gateway.script(refused := "13900000001", ["4085"])
    send(sandbox, "good")
    send(sandbox, "refused", refused)
    sandbox.gateway.script(later := "13900000002", ["http_503"])
    send(sandbox, "later", later)

    def kinds(task_id: str) -> list[str]:
        return [event["type"] for event in found if event.get("uuid") == task_id]

    wait_for(lambda: len(kinds("good") + kinds("refused") + kinds("later")) >= 11, 20, "all events")
    assert kinds("later") == [
        "task-received",
        "task-started",
        "task-retried",
        "task-started",
        "task-succeeded",
    ]
    assert kinds("good") == ["task-received", "task-started", "task-succeeded"]
    assert kinds("refused") == ["task-received", "task-started", "task-failed"]
    text = json.dumps([event for event in found if event["type"].startswith("task-")], default=str)
    assert "send_voice_code" in text
    assert not [secret for secret in (MOBILE, refused, CODE, "key-good") if secret in text]
    receivers[0].should_stop = True
    thread.join(20)
    app.close()


def test_nobody_listening_costs_a_look() -> None:
    """No request is pushed and nothing is sent."""

    class Task:
        name = "send_voice_code"

        def push_request(self, **_: Any) -> None:
            raise AssertionError

    assert Signals(Task(), object()).begin(Envelope(task_id="t"), [MOBILE, CODE], {}) is None
    assert REDACTED not in repr(Ending("accepted"))
