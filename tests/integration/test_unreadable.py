"""Anything on the queue is served, or becomes a dead letter with its bytes."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.settings import load
from tests.support.sandbox import Sandbox, message
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator
from worker.store.client import connect


@pytest.fixture(scope="module")
def sandbox(
    sandbox_server: Server, shared_simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """Give one worker for all tests here: what one item does to it shows in the next test."""
    sandbox_server.flush()
    shared_simulator.client.reset()
    with Sandbox(sandbox_server, shared_simulator, tmp_path_factory.mktemp("rubbish")) as sandbox:
        sandbox.worker(visibility_timeout_seconds=60, log_level="INFO")
        yield sandbox


def bury(sandbox: Sandbox, item: str | bytes) -> tuple[str, bytes]:
    """Put an item on the queue; return reason and bytes of the dead letter it becomes."""
    sandbox.redis.delete(names.DEAD)
    sandbox.push(item)
    good = sandbox.send(f"138{time.monotonic_ns() % 100_000_000:08}")
    sandbox.wait_state(good)
    sandbox.wait_empty()
    assert sandbox.workers[0].running
    (key,) = sandbox.redis.zrange(names.DEAD, 0, -1)
    with connect(load(_env_file=None, broker_url=sandbox.url)) as client:
        assert (
            client.hget(names.RECORD_PREFIX + key, "raw") is not None
        )  # an operator can read it, whatever its bytes
    record: dict[bytes, bytes] = sandbox.raw.hgetall(names.RECORD_PREFIX + key)
    assert record[b"state"] == b"dead"
    return record[b"reason"].decode(), record[b"raw"]


def spoilt(*without: str, **parts: Any) -> str:
    """Return a good message with some parts replaced or removed.

    A `body` of bytes is encoded; anything else is used unchanged.
    """
    if isinstance(parts.get("body"), bytes):
        parts["body"] = parts["body"].decode()
    whole = json.loads(message(f"r{time.monotonic_ns()}"))
    properties, headers = parts.pop("properties", {}), parts.pop("headers", {})
    whole.update({name.replace("_", "-"): value for name, value in parts.items()})
    for name, changes in (("properties", properties), ("headers", headers)):
        whole[name] = whole[name] | changes if isinstance(changes, dict) else changes
    for path in without:
        inside, _, name = path.rpartition(".")
        del (whole[inside] if inside else whole)[name]
    return json.dumps(whole)


def nested(depth: int) -> str:
    return spoilt(body="#").replace('"#"', "[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(item, id=name)
        for name, item in {
            "no JSON": b"hello",
            "nothing": b"",
            "binary": bytes(range(256)),
            "half of a message": message("half")[:-9].encode(),
            "a number": b"7",
            "null": b"null",
            "a list": b"[1, 2]",
            "a text": b'"text"',
            "an empty object": b"{}",
            "a megabyte": b"x" * 1_000_000,
            "too deep for any reader": b"[" * 100_000,
            "no properties": spoilt("properties").encode(),
            "properties a list": spoilt(properties=[1]).encode(),
            "no delivery tag": spoilt("properties.delivery_tag").encode(),
            "delivery tag a number": spoilt(properties={"delivery_tag": 7}).encode(),
            "delivery tag empty": spoilt(properties={"delivery_tag": ""}).encode(),
        }.items()
    ],
)
def test_an_item_that_is_no_message_keeps_its_bytes_in_the_dead_letter(sandbox: Sandbox, item: bytes) -> None:
    reason, raw = bury(sandbox, item)
    assert reason == "unreadable"
    assert raw == item[:16_384]


UNREADABLE = {
    "letters in no encoding": message("latin").encode().replace(b"0042", b"caf\xe9"),
    "half of a surrogate pair": spoilt(headers={"lang": "\ud800"}),
    "deep, but readable for Redis": nested(990),
    "no body": spoilt("body"),
    "body null": spoilt(body=None),
    "body a number": spoilt(body=7),
    "body a list": spoilt(body=[[], {}, {}]),
    "body no JSON": spoilt(body="hello"),
    "body no base64": spoilt(body="%%%", properties={"body_encoding": "base64"}),
    "body base64 of no JSON": spoilt(
        body=base64.b64encode(b"\xff\xfe"), properties={"body_encoding": "base64"}
    ),
    "body in an unknown encoding": spoilt(properties={"body_encoding": "rot13"}),
    "payload an object": spoilt(body="{}"),
    "payload too short": spoilt(body="[[], {}]"),
    "payload too long": spoilt(body="[[], {}, {}, {}]"),
    "args an object": spoilt(body="[{}, {}, {}]"),
    "kwargs a list": spoilt(body="[[], [], {}]"),
    "embed a list": spoilt(body="[[], {}, [1]]"),
    "embed a text": spoilt(body='[[], {}, "chain"]'),
    "no headers": spoilt("headers"),
    "headers null": spoilt(headers=None),
    "headers a list": spoilt(headers=[1]),
    "headers a text": spoilt(headers="task"),
    "no task": spoilt("headers.task"),
    "spaces and an order of its own": " {"
    + spoilt(content_type="application/x-unheard-of")[1:-1]
    + ' , "twice": 1.0 , "twice": 1e0 }\n',
    "content type unknown": spoilt(content_type="application/x-unheard-of"),
    "content type pickle": spoilt(content_type="application/x-python-serialize"),
    "content type a number": spoilt(content_type=7),
    "content type a list": spoilt(content_type=["application/json"]),
    "compression unknown": spoilt(headers={"compression": "application/x-unheard-of"}),
    "compression a number": spoilt(headers={"compression": 7}),
    "not compressed, though it says so": spoilt(headers={"compression": "application/x-gzip"}),
    "eta no moment": spoilt(headers={"eta": "soon"}),
    "eta a number": spoilt(headers={"eta": 7}),
    "expires no moment": spoilt(headers={"expires": "soon"}),
    "expires a list": spoilt(headers={"expires": [1]}),
}


@pytest.mark.parametrize("item", [pytest.param(item, id=name) for name, item in UNREADABLE.items()])
def test_a_message_that_celery_cannot_take_becomes_a_dead_letter_byte_for_byte(
    sandbox: Sandbox, item: str | bytes
) -> None:
    reason, raw = bury(sandbox, item)
    assert reason == "unreadable"
    assert raw == (item.encode() if isinstance(item, str) else item)


WRONG = {
    "args is not a list": spoilt(body="[{}, {}, {}]"),
    "kwargs is not an object": spoilt(body="[[], [], {}]"),
    "embed is not an object": spoilt(body="[[], {}, [1]]"),
    "the body is not [args, kwargs, embed]": spoilt(body="{}"),
    "the body is no JSON": spoilt(body="hello"),
    "the header eta is not an ISO 8601 time": spoilt(headers={"eta": "soon"}),
    "its content type is not accepted": spoilt(content_type="application/x-python-serialize"),
    "it names no task": spoilt("headers.task"),
}


@pytest.mark.parametrize(("told", "item"), WRONG.items())
def test_the_detail_says_what_was_wrong(sandbox: Sandbox, told: str, item: str) -> None:
    """An exception's name tells an operator nothing, and its text may hold a number."""
    bury(sandbox, item)
    (key,) = sandbox.redis.zrange(names.DEAD, 0, -1)
    detail = sandbox.redis.hget(names.RECORD_PREFIX + key, "detail")
    assert detail is not None
    assert detail.startswith(f"the message cannot be read: {told}")


@pytest.mark.parametrize("task", ["tasks.of_tomorrow", None, 7, ["send_voice_code"], {"a": 1}, True], ids=str)
def test_a_task_that_this_version_does_not_know_becomes_a_dead_letter(sandbox: Sandbox, task: Any) -> None:
    """A stock worker drops it with a log line; one with a list for a name ends it."""
    item = spoilt(headers={"task": task})
    reason, raw = bury(sandbox, item)
    assert reason in {"unknown_task", "unreadable"}
    assert raw.decode() == item


@pytest.mark.parametrize(
    "arguments",
    ["[[], {}, {}]", "[[7], {}, {}]", '[["a", "b"], {}, {}]', '[["k"], {"x": 1}, {}]', '[["a b"], {}, {}]'],
)
def test_a_hint_with_wrong_arguments_becomes_a_dead_letter(sandbox: Sandbox, arguments: str) -> None:
    item = spoilt(body=arguments, headers={"task": names.RESUME_TASK})
    assert bury(sandbox, item)[0] == "bad_input"


@pytest.mark.parametrize(
    "odd",
    [7, ["a"], {"a": 1}, "x" * 10_000, "é", "13800138000", ""],
    ids=lambda odd: str(odd)[:11].encode("unicode_escape").decode(),
)
def test_a_strange_task_id_is_no_obstacle(sandbox: Sandbox, odd: Any) -> None:
    """The code has a key of its own; a message without one gets a key that is made of the id."""
    mobile = f"137{time.monotonic_ns() % 100_000_000:08}"
    sandbox.push(spoilt(body=json.dumps([[mobile, "0042"], {}, {}]), headers={"id": odd}))
    sandbox.wait_submitted(mobile)
    sandbox.wait_empty()
    assert len(sandbox.gateway.calls(mobile)) == 1
    assert not [key for key in sandbox.redis.keys("*") if "13800138000" in key]


@pytest.mark.parametrize(
    ("without", "parts"),
    [
        (("content-encoding",), {}),
        ((), {"content_encoding": "binary"}),
        ((), {"content_encoding": 7}),
        (("properties.delivery_info",), {}),
        ((), {"properties": {"delivery_info": 7}}),
        ((), {"properties": {"priority": "high"}}),
        ((), {"properties": {"headers": [1]}}),
        ((), {"headers": {"retries": "many", "timelimit": "long", "ignore_result": []}}),
    ],
    ids=str,
)
def test_what_we_do_not_look_at_may_be_anything(
    sandbox: Sandbox, without: tuple[str, ...], parts: dict[str, Any]
) -> None:
    mobile = f"136{time.monotonic_ns() % 100_000_000:08}"
    sandbox.push(spoilt(*without, body=json.dumps([[mobile, "0042"], {}, {}]), **parts))
    sandbox.wait_submitted(mobile)
    sandbox.wait_empty()
    assert sandbox.workers[0].running


@pytest.mark.parametrize("tag", ["é", "\x00\n", "x" * 1000, '"', "a b"], ids=ascii)
def test_any_delivery_tag_is_as_good_as_another(sandbox: Sandbox, tag: str) -> None:
    mobile = f"135{time.monotonic_ns() % 100_000_000:08}"
    sandbox.push(spoilt(body=json.dumps([[mobile, "0042"], {}, {}]), properties={"delivery_tag": tag}))
    sandbox.wait_submitted(mobile)
    sandbox.wait_empty()


def test_a_delivery_tag_in_no_encoding_does_not_end_the_worker(sandbox: Sandbox) -> None:
    item = message("odd-tag", delivery_tag="caf?").encode().replace(b"caf?", b"caf\xe9")
    assert bury(sandbox, item) == ("unreadable", item)
