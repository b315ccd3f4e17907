"""Each option of a stock producer is obeyed, or refused with a plain reason."""

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.canvas import Signature

from config import names
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, stock_producer, wait_for
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator


@pytest.fixture(scope="module")
def sandbox(
    sandbox_server: Server, shared_simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    sandbox_server.flush()
    shared_simulator.client.reset()
    with Sandbox(sandbox_server, shared_simulator, tmp_path_factory.mktemp("options")) as sandbox:
        sandbox.worker(visibility_timeout_seconds=60, log_level="INFO")
        yield sandbox


class Sent:
    """A code that a stock producer sent with options of its own."""

    def __init__(self, sandbox: Sandbox, **options: Any) -> None:
        self.sandbox = sandbox
        self.key = f"o{time.monotonic_ns()}"
        self.mobile = f"138{time.monotonic_ns() % 100_000_000:08}"
        protocol = options.pop("protocol", 2)
        app = stock_producer(sandbox.url)
        app.conf.task_protocol = protocol
        kwargs = {"key": self.key, **options.pop("kwargs", {})}
        with app:
            app.send_task(
                names.SEND_TASK, args=[self.mobile, "0042"], kwargs=kwargs, queue=names.QUEUE, **options
            )

    def ends(self, state: str) -> dict[str, str]:
        self.sandbox.wait_state(self.key, state)
        self.sandbox.wait_empty()
        return self.sandbox.record(self.key)


def from_now(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("priority", range(11))
def test_a_priority_is_served_from_whatever_list_it_went_to(sandbox: Sandbox, priority: int) -> None:
    Sent(sandbox, priority=priority).ends("accepted")


@pytest.mark.parametrize("protocol", [1, 2])
def test_an_eta_is_the_first_moment_of_a_call(sandbox: Sandbox, protocol: int) -> None:
    due = time.time() + 1.2
    sent = Sent(sandbox, eta=from_now(1.2), protocol=protocol)
    wait_for(lambda: sandbox.state(sent.key) == "waiting", LIMIT_SECONDS, "the code to wait in the ledger")
    sandbox.wait_empty()
    sent.ends("accepted")
    (call,) = sandbox.gateway.calls(sent.mobile)
    assert call.at >= due - 0.1


def test_an_eta_that_is_past_is_no_obstacle(sandbox: Sandbox) -> None:
    Sent(sandbox, eta=from_now(-60)).ends("accepted")


def test_an_eta_behind_the_codes_end_makes_it_expire(sandbox: Sandbox) -> None:
    record = Sent(sandbox, eta=from_now(600), kwargs={"expires_at": time.time() + 0.7}).ends("dead")
    assert record["reason"] == "expired"


@pytest.mark.parametrize("protocol", [1, 2])
def test_expires_counts_where_no_expires_at_is_given(sandbox: Sandbox, protocol: int) -> None:
    """A stock worker drops the task without running any code."""
    late = Sent(sandbox, expires=from_now(-1), protocol=protocol)
    assert late.ends("dead")["reason"] == "expired"
    assert sandbox.gateway.submissions(late.mobile) == []
    moment = from_now(60)
    record = Sent(sandbox, expires=moment, protocol=protocol).ends("accepted")
    assert float(record["expires_at"]) == pytest.approx(moment.timestamp(), abs=0.01)
    given = time.time() + 30
    record = Sent(sandbox, expires=moment, kwargs={"expires_at": given}, protocol=protocol).ends("accepted")
    assert float(record["expires_at"]) == pytest.approx(given, abs=0.01)


def sign(name: str = "other") -> Any:
    return Signature(name, app=stock_producer("memory://"))


@pytest.mark.parametrize("option", ["link", "link_error"])
@pytest.mark.parametrize("protocol", [1, 2])
def test_callbacks_are_refused_with_a_plain_reason(sandbox: Sandbox, option: str, protocol: int) -> None:
    sent = Sent(sandbox, protocol=protocol, **{option: sign()})
    record = sent.ends("dead")
    assert record["reason"] == "bad_input"
    assert ("callbacks" if option == "link" else "errbacks") in record["detail"]
    assert sandbox.gateway.submissions(sent.mobile) == []


def signature_of(sandbox: Sandbox, key: str, mobile: str) -> Any:
    app = sandbox.producer()
    return app.signature(names.SEND_TASK, args=[mobile, "0042"], kwargs={"key": key}, queue=names.QUEUE)


def test_a_chain_is_refused(sandbox: Sandbox) -> None:
    (
        signature_of(sandbox, "chained", "13800000101") | signature_of(sandbox, "next", "13800000102")
    ).apply_async()
    sandbox.wait_state("chained", "dead")
    sandbox.wait_empty()
    assert "chain" in sandbox.record("chained")["detail"]
    assert sandbox.gateway.submissions("13800000101") == sandbox.gateway.submissions("13800000102") == []


def test_the_header_of_a_chord_is_refused(sandbox: Sandbox) -> None:
    """Its body would wait for results for ever: there are none."""
    app = sandbox.producer()
    body = signature_of(sandbox, "body", "13800000104")
    first = signature_of(sandbox, "header", "13800000103").set(chord=body)
    app.send_task(names.SEND_TASK, args=first.args, kwargs=first.kwargs, queue=names.QUEUE, chord=body)
    sandbox.wait_state("header", "dead")
    assert "chord" in sandbox.record("header")["detail"]


@pytest.mark.parametrize("serializer", ["pickle", "yaml", "msgpack"])
def test_a_serializer_that_we_do_not_accept_makes_a_dead_letter(sandbox: Sandbox, serializer: str) -> None:
    sandbox.redis.delete(names.DEAD)
    try:
        Sent(sandbox, serializer=serializer)
    except Exception as error:  # noqa: BLE001 - an extra of kombu's that is not installed
        pytest.skip(f"{serializer}: {error}")
    (key,) = wait_for(lambda: sandbox.redis.zrange(names.DEAD, 0, -1), LIMIT_SECONDS, "a dead letter")
    sandbox.wait_empty()
    record = sandbox.record(key)
    assert record["reason"] == "unreadable"
    assert "its content type is not accepted" in record["detail"]


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "lzma"])
def test_a_compressed_message_is_served(sandbox: Sandbox, compression: str) -> None:
    Sent(sandbox, compression=compression).ends("accepted")


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": 1},
        {"headers": {"trace": "x"}},
        {"time_limit": 1, "soft_time_limit": 1},
        {"ignore_result": False},
        {"shadow": "x"},
        {"retry": True},
    ],
    ids=str,
)
def test_other_options_are_no_obstacle(sandbox: Sandbox, options: dict[str, Any]) -> None:
    Sent(sandbox, **options).ends("accepted")
