"""The client's testing kit and a real worker: the same script leads to the same answers."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from celery import Celery
from voicecode_client import Client, Refused, Status
from voicecode_client.testing import VoiceCodes, nobody_is_called, plugin
from voicecode_client.testing.rows import ROWS, End

from config import names
from tests.integration.conftest import SOON
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.simulator.scenarios import SCENARIOS

voicecode, voicecode_celery = plugin.voicecode, plugin.voicecode_celery
NOWHERE: Final = "redis://127.0.0.1:1/0"
OVERRIDES: Final = json.dumps(dict.fromkeys(("4080", "4081", "4010/limit"), SOON))
STOPPING: Final = (End.PARKED, End.STOPS)
PLAYED: Final = {
    scenario.row: scenario.name
    for scenario in SCENARIOS.values()
    if ROWS[scenario.row] not in STOPPING and scenario.row != "unknown" and scenario.name != "slow"
}
"""Rows that a server can show and that stop nobody else, each with its scenario."""
CODE: Final = "0042"


def told(status: Status) -> tuple[Any, ...]:
    """Return what both must agree in."""
    return (
        *(status.state, status.reason, status.reply_code, status.ended, status.offer, status.cancelling),
        *(bool(status.voice_id), status.accepted_at is not None),
    )


def settled(client: Client, key: str) -> Status:
    found: Status = wait_for(
        lambda: (status := client.status(key)).ended and status, LIMIT_SECONDS, f"the end of {key}"
    )
    return found


def test_each_row_ends_with_the_kit_as_with_a_worker(sandbox: Sandbox) -> None:
    sandbox.worker(fates=1000, max_attempts=3, ambiguous_retries=1, reply_overrides=OVERRIDES)
    numbers = {row: f"137{number:08}" for number, row in enumerate(PLAYED, 1)}
    assert len(numbers) > 20
    with nobody_is_called() as desk:
        for row, mobile in numbers.items():
            desk.will(row, mobile=mobile)
        kit = play(Client(NOWHERE), numbers)
        kit_fates = {(fate.key, fate.state, fate.reason, fate.row) for fate in Client(NOWHERE).fates()}
    for row, mobile in numbers.items():
        sandbox.gateway.script(mobile, [PLAYED[row]] * 12)
    with Client(sandbox.url) as client:
        real = play(client, numbers)
        real_fates = {(fate.key, fate.state, fate.reason, fate.row) for fate in client.fates()}
    assert kit == real
    assert kit_fates == real_fates


def play(client: Client, numbers: dict[str, str]) -> dict[str, tuple[Any, ...]]:
    """Send a code to each number; return what became of each, and what a second send says."""
    for row, mobile in numbers.items():
        client.send(mobile, CODE, key=key_of(row), purpose="login")
    ends = {row: told(settled(client, key_of(row))) for row in numbers}
    again = {row: client.send(numbers[row], CODE, key=key_of(row)) for row in numbers}
    other = {row: client.send("13700009999", CODE, key=key_of(row)) for row in numbers}
    return {row: (*ends[row], repr(again[row]), repr(other[row])) for row in numbers}


def key_of(row: str) -> str:
    return "row:" + row.replace("/", ".")


def test_a_code_whose_life_ends_unreached(sandbox: Sandbox) -> None:
    sandbox.worker()
    sandbox.gateway.refuse()
    try:
        with Client(sandbox.url) as client:
            client.send("13700000001", CODE, key="k", expires_in=2)
            real = told(settled(client, "k"))
    finally:
        sandbox.gateway.outage(None)
    with nobody_is_called() as desk:
        desk.will("connect_refused")
        client = Client(NOWHERE)
        client.send("13700000001", CODE, key="k", expires_in=2)
        assert told(client.status("k")) == real


@pytest.mark.parametrize("row", ["4051", "405"])
def test_a_refusal_of_all_looks_the_same(sandbox: Sandbox, row: str) -> None:
    sandbox.worker(stop_sending=True, probe_seconds=60)
    sandbox.gateway.outage(row)
    try:
        with Client(sandbox.url) as client:
            client.send("13600000001", CODE, key="first")
            state = "waiting" if row == "4051" else "dead"
            sandbox.wait_state("first", state)
            wait_for(lambda: is_stopped(sandbox), LIMIT_SECONDS, "the stop")
            real = after(client)
    finally:
        sandbox.gateway.outage(None)
    with nobody_is_called() as desk:
        desk.will(SCENARIOS[row].row)
        client = Client(NOWHERE)
        client.send("13600000001", CODE, key="first")
        assert after(client) == real


def is_stopped(sandbox: Sandbox) -> bool:
    return bool(sandbox.redis.hget(names.SENDING, "offer") == "sms")


def after(client: Client) -> tuple[Any, ...]:
    """Return what is told once nobody is called: of a second code, the first, and a cancel."""
    refused = client.send("13600000002", CODE, key="second")
    assert isinstance(refused, Refused)
    was = told(client.status("first"))
    client.cancel("first")
    client.cancel("never-sent")
    tombstone = wait_for(
        lambda: (status := client.status("never-sent")).state == "cancelled" and status,
        LIMIT_SECONDS,
        "the tombstone",
    )
    return (
        *(refused.reason, refused.offer, refused.row, refused.detail, refused.retry_after_seconds is None),
        *(was, told(tombstone), told(client.status("first"))),
    )


def holds(desk: VoiceCodes, key: str, fields: dict[str, str]) -> bool:
    return (desk.ledger.record(key) or {}).items() >= fields.items()


def test_stock_celery_calls_nobody(voicecode_celery: Callable[[Any], VoiceCodes]) -> None:
    """`task_always_eager` would not have helped: send_task ignores it."""
    app = Celery("web", broker=NOWHERE, set_as_current=False)
    desk = voicecode_celery(app)
    desk.will(4030)
    named = {"key": "k", "purpose": "login"}
    with desk.expects(mobile="13800138000", purpose="login"):
        sent = app.send_task(names.SEND_TASK, ["13800138000", CODE], named, queue=names.QUEUE)
    assert desk.last_code() == CODE
    assert holds(desk, "k", {"state": "dead", "reply_code": "4030"})
    assert sent.id
    app.send_task(names.SEND_TASK, ["13800138000", 42], {"key": "bad"}, queue=names.QUEUE)
    assert holds(desk, "bad", {"reason": "bad_input"})
    app.send_task(names.CANCEL_TASK, kwargs={"key": "never-sent"}, queue=names.QUEUE)
    assert holds(desk, "never-sent", {"state": "cancelled"})


def test_the_silent_mistakes_of_stock_celery_fail_the_test(
    voicecode_celery: Callable[[Any], VoiceCodes],
) -> None:
    app = Celery("web", broker=NOWHERE, set_as_current=False)
    voicecode_celery(app)
    with pytest.raises(AssertionError, match="would lie on another queue than voice_codes"):
        app.send_task(names.SEND_TASK, ["13800138000", CODE])
    routed = Celery("web", broker=NOWHERE, set_as_current=False)
    routed.conf.task_routes = {names.SEND_TASK: {"queue": names.QUEUE}}
    desk = voicecode_celery(routed)
    routed.send_task(names.SEND_TASK, ["13800138000", CODE])
    assert desk.last_code() == CODE

    @routed.task(name=names.SEND_TASK)
    def own(mobile: str, code: str) -> None:
        del mobile, code

    with pytest.raises(AssertionError, match="is a task of this app"):
        own.delay("13800138000", CODE)
