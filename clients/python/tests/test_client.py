"""Both clients, against a real Redis: what they queue, and what they refuse."""

import asyncio
import base64
import inspect
import json
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import redis
from opentelemetry import trace
from voicecode_client import AsyncClient, Client, Duplicate, Refused, Sent, Unavailable, core, message

GOLDEN: Final = Path(__file__).with_name("message.json")
QUEUE: Final = "voice_codes"
RECORD: Final = "{voice_codes}:code:k"
SENDING: Final = "{voice_codes}:sending"
MOBILE: Final = "13800138000"


class Awaited:
    """AsyncClient, used as if it were the other one: each call runs on one event loop."""

    def __init__(self, url: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **named: self._runner.run(method(*args, **named))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=[Client, Awaited], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(kind: Any, server_url: str, db: Any) -> Iterator[Any]:  # noqa: ARG001 - it empties Redis
    client = kind(server_url)
    yield client
    client.close()


def body(item: str) -> Any:
    return json.loads(base64.b64decode(json.loads(item)["body"]))


def test_a_code_is_queued_once(client: Any, db: Any) -> None:
    sent = client.send(MOBILE, "0042", key="k", expires_in=60, purpose="login")
    again = client.send(MOBILE, "0042", key="k")

    assert isinstance(sent, Sent)
    assert sent.expires_at == pytest.approx(time.time() + 60, abs=2)
    assert again == Duplicate(key="k", state="queued")
    [item] = db.lrange(QUEUE, 0, -1)
    args, named, _ = body(item)
    assert args == [MOBILE, "0042"]
    assert named == {"key": "k", "purpose": "login", "expires_at": sent.expires_at}
    assert set(db.keys()) == {QUEUE, "{voice_codes}:sent:k"}
    assert 0 < db.ttl("{voice_codes}:sent:k") <= 60


def test_the_message_is_the_golden_one() -> None:
    """The contract with workers, in a file; the project holds stock Celery against it, too."""
    golden = json.loads(GOLDEN.read_text("utf-8"))
    kwargs = {"key": "login:7f3a9c:1", "expires_at": 1764072000.5, "purpose": "login"}
    written = message.write(
        message.SEND_TASK,
        [MOBILE, "0042"],
        kwargs,
        task_id=golden["headers"]["id"],
        tag="a-new-one-each-time",
    )
    assert json.loads(written) == golden


def test_the_message_names_the_span_in_which_it_was_written() -> None:
    context = trace.SpanContext(0xA, 0xB, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        written = message.write(message.SEND_TASK, [MOBILE, "0042"], {}, task_id="t")
    assert json.loads(written)["headers"]["traceparent"] == f"00-{'a':0>32}-{'b':0>16}-01"


def test_number_and_code_stand_in_the_body_alone(client: Any, db: Any) -> None:
    client.send("+86 138-0013-8000", "0042", key="k")
    item = json.loads(db.lindex(QUEUE, 0))
    del item["body"]
    assert MOBILE not in str(item)
    assert "0042" not in str(item["headers"])


def test_a_sealed_pair_never_reaches_redis_in_clear(kind: Any, server_url: str, db: Any) -> None:
    db.config_set("slowlog-log-slower-than", 0)
    db.slowlog_reset()
    client = kind(server_url, seal=lambda mobile, code, key: f"id.{len(mobile)}{len(code)}{key}")
    assert isinstance(client.send(MOBILE, "0042", key="k"), Sent)
    client.close()
    said = str([entry["command"] for entry in db.slowlog_get(100)])
    db.config_set("slowlog-log-slower-than", 10_000)
    assert body(db.lindex(QUEUE, 0))[:2] == [
        [],
        {"key": "k", "expires_at": pytest.approx(time.time() + 300, abs=2), "sealed": "id.114k"},
    ]
    assert MOBILE not in said


@pytest.mark.parametrize(
    "given",
    [
        {"mobile": "01012345678"},
        {"mobile": 13800138000},
        {"code": 42},
        {"code": "42"},
        {"key": "login:13800138000"},
        {"key": None},
        {"key": ""},
        {"expires_in": 0},
        {"expires_in": 3601},
        {"expires_in": "300"},
        {"expires_in": float("nan")},
        {"purpose": "log in"},
    ],
    ids=str,
)
def test_what_a_worker_would_refuse_never_leaves(client: Any, db: Any, given: dict[str, Any]) -> None:
    values = {"mobile": MOBILE, "code": "0042", "key": "k", **given}
    refused = client.send(**values)
    assert isinstance(refused, Refused)
    assert refused.reason == "bad_input"
    assert MOBILE not in repr(refused.detail)
    assert db.keys() == []


@pytest.mark.parametrize("state", ["waiting", "calling", "accepted", "dead", "cancelled"])
def test_a_key_with_a_record_is_a_duplicate_in_its_state(client: Any, db: Any, state: str) -> None:
    db.hset(RECORD, mapping={"v": 2, "state": state, "mobile": MOBILE, "code": "0042", "reason": "x"})
    assert client.send(MOBILE, "0042", key="k") == Duplicate(key="k", state=state, reason="x")
    assert not db.exists(QUEUE)


@pytest.mark.parametrize(
    ("mobile", "code", "held"),
    [(MOBILE, "0043", MOBILE), ("13900139000", "0042", MOBILE), ("13900139000", "0042", "138****8000")],
)
def test_a_key_of_another_code_is_a_conflict(client: Any, db: Any, mobile: str, code: str, held: str) -> None:
    record = {"v": 2, "state": "accepted", "mobile": held} | ({} if "*" in held else {"code": "0042"})
    db.hset(RECORD, mapping=record)
    assert client.send(mobile, code, key="k").reason == "key_conflict"
    assert not db.exists(QUEUE)


def test_an_accepted_code_that_is_sent_again_is_no_conflict(client: Any, db: Any) -> None:
    db.hset(RECORD, mapping={"v": 2, "state": "accepted", "mobile": "138****8000"})
    assert client.send(MOBILE, "0042", key="k") == Duplicate(key="k", state="accepted")


def test_nothing_is_queued_while_nobody_can_be_called(client: Any, db: Any) -> None:
    db.hset(
        SENDING, mapping={"offer": "sms", "row": "4051", "since": time.time(), "mends": "time", "cap": 600}
    )
    refused = client.send(MOBILE, "0042", key="k")
    assert (refused.reason, refused.offer, refused.row) == ("sending_stopped", "sms", "4051")
    assert refused.retry_after_seconds == pytest.approx(600, abs=2)
    assert not db.exists(QUEUE)
    db.hset(SENDING, mapping={"mends": "person", "row": "405"})
    assert client.send(MOBILE, "0042", key="k").retry_after_seconds is None
    db.hset(SENDING, "offer", "voice")
    assert isinstance(client.send(MOBILE, "0042", key="k"), Sent)


def test_the_clock_of_the_web_server_does_not_matter(
    client: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = time.time
    monkeypatch.setattr("voicecode_client.core.time.time", lambda: true() + 1000)
    sent = client.send(MOBILE, "0042", key="k", expires_in=60)
    assert sent.expires_at == pytest.approx(true() + 60, abs=2)
    assert db.llen(QUEUE) == 1


def test_one_code_is_one_round_trip(client: Any, db: Any) -> None:
    client.send(MOBILE, "0042", key="first")
    before = db.info("commandstats")
    client.send(MOBILE, "0042", key="k")
    after = db.info("commandstats")
    calls = {
        n: after[n]["calls"] - before.get(n, {"calls": 0})["calls"] for n in after if n != "cmdstat_info"
    }
    by_client = {n for n, count in calls.items() if count} - {
        f"cmdstat_{n}"
        for n in ("hmget", "get", "time", "set", "lpush")  # within the script
    }
    assert by_client == {"cmdstat_evalsha"}
    assert calls["cmdstat_evalsha"] == 1


def test_a_reply_that_is_lost_does_not_double_the_code(client: Any, db: Any) -> None:
    """The second execution finds the mark of the first one, with its own token."""
    one = client if isinstance(client, Client) else client._client
    once = one._arguments(cast("core.Job", one._check(MOBILE, "0042", "k", 60, None)))
    assert db.eval(core.SCRIPT, *once) == db.eval(core.SCRIPT, *once)
    assert db.llen(QUEUE) == 1


def test_a_connection_that_redis_closed_is_replaced(client: Any, db: Any) -> None:
    client.send(MOBILE, "0042", key="a")
    db.client_kill_filter(_type="normal", skipme=True)
    db.script_flush()
    assert isinstance(client.send(MOBILE, "0042", key="b"), Sent)


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/3"


@pytest.fixture
def dripping() -> Iterator[str]:
    """Give the address of a server that says a letter each tenth of a second, and never a line."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection:
            while not over.wait(0.1):
                try:
                    connection.send(b"+")
                except OSError:
                    return

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=[connection], daemon=True).start()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/3"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("server", ["silent", "dripping"])
def test_a_call_takes_no_longer_than_it_may(kind: Any, server: str, request: pytest.FixtureRequest) -> None:
    client = kind(request.getfixturevalue(server), timeout_seconds=0.5)
    for method, given in (("send", {"mobile": MOBILE, "code": "0042"}), ("status", {})):
        started = time.monotonic()
        with pytest.raises(Unavailable):
            getattr(client, method)(key="k", **given)
        assert time.monotonic() - started < 1.0
    client.close()


def test_a_redis_that_is_down_is_told_at_once(kind: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = kind(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        started = time.monotonic()
        with pytest.raises(Unavailable, match=r"refused|Connect call failed|Error 111"):
            client.send(MOBILE, "0042", key="k")
        assert time.monotonic() - started < 1.0
    client.close()


def test_a_full_redis_is_told(client: Any, db: Any) -> None:
    db.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable, match="maxmemory") as caught:
            client.send(MOBILE, "0042", key="k")
        told = "".join(traceback.format_exception(caught.value))
        assert MOBILE not in told  # redis-py repeats a pipeline's commands in its errors
        assert "EVALSHA" not in told
    finally:
        db.config_set("maxmemory", 0)
    assert not db.exists(QUEUE)


def test_the_status_of_a_code(client: Any, db: Any) -> None:
    assert client.status("k").state == "unknown"
    assert client.status("k").offer == "sms"
    client.send(MOBILE, "0042", key="k")
    assert (client.status("k").state, client.status("k").ended) == ("queued", False)
    db.hset(RECORD, mapping={"v": 2, "state": "dead", "reason": "permanent", "reply_code": "4030"})
    status = client.status("k")
    assert (status.state, status.reason, status.reply_code) == ("dead", "permanent", 4030)
    assert (status.ended, status.offer) == (True, "sms")


def test_many_threads_share_a_client(server_url: str, db: Any) -> None:
    with Client(server_url) as client:
        threads = [
            threading.Thread(target=client.send, args=[MOBILE, "0042"], kwargs={"key": f"k{n % 10}"})
            for n in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert db.llen(QUEUE) == 10


def test_both_clients_have_the_same_methods() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            other = getattr(AsyncClient, name)
            assert list(inspect.signature(method).parameters) == list(inspect.signature(other).parameters)


def test_the_representation_of_a_job_hides_number_and_code(client: Any) -> None:
    one = client if isinstance(client, Client) else client._client
    assert MOBILE not in repr(one._check(MOBILE, "0042", "k", 60, None))
    assert issubclass(redis.exceptions.TimeoutError, redis.RedisError)
