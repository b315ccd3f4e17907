"""Traces: from the web app's request to the phone, in one picture, whatever happens in between."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from config import names
from config.settings import Settings, SettingsError
from tests.support.collector import Collector
from tests.support.sandbox import MOBILE, Sandbox
from tests.support.simulator import ACCOUNT, APIKEY
from tests.support.workers import ROOT, RunningWorker, wait_for
from worker.envelope import trace_id_of, trace_of
from worker.failure_queue import Choice, FailureQueue
from worker.store.client import connect
from worker.tracing import start

CODE: Final = "904217"
KEY: Final = "login-of-somebody"
PROCESS: Final = "process voice_codes"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Return a collector to which every process that the test starts sends its spans."""
    with Collector() as collector:
        for name, value in collector.variables.items():
            monkeypatch.setenv(name, value)
        yield collector


def ask(sandbox: Sandbox, key: str = KEY) -> str:
    """Enqueue one code from a web app with stock OpenTelemetry; return its request's span."""
    command = [sys.executable, "-m", "tests.support.traced_web_app", sandbox.url, MOBILE, CODE, key]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def finished(worker: RunningWorker) -> list[dict[str, Any]]:
    return worker.lines("attempt.finished")


def test_the_web_apps_span_and_two_workers_are_one_picture(sandbox: Sandbox, collector: Collector) -> None:
    """As children of the producer's span: one worker tries and stops, the next one succeeds."""
    first = sandbox.worker(traces="child", backoff_scale=0.5)
    sandbox.gateway.script(MOBILE, ["0"])
    request = ask(sandbox)
    wait_for(lambda: finished(first), 20, "the first try")
    first.stop()
    second = sandbox.worker(traces="child")
    sandbox.wait_state(KEY)
    second.stop()
    (web,) = collector.named("POST /login")
    (publish,) = collector.named("apply_async/send_voice_code")
    tries = collector.named(PROCESS)

    assert {span["trace"] for span in collector.spans} == {trace_id_of(request)}
    assert publish["parent"] == web["id"]
    assert [span["parent"] for span in tries] == [publish["id"]] * 2
    assert len({span["resource"]["service.instance.id"] for span in tries}) == 2
    assert [span["facts"]["voicecode.outcome"] for span in tries] == ["retry", "accepted"]
    assert [span["facts"]["voicecode.attempt"] for span in tries] == [1, 2]
    assert [span["failed"] for span in tries] == [True, False]
    for name in ("claim", "POST", "finish"):
        assert [span["parent"] for span in collector.named(name)] == [span["id"] for span in tries]
    assert all(0 <= span["ended"] - span["began"] < 10e9 for span in collector.spans)
    for worker in (first, second):
        assert [line["trace_id"] for line in finished(worker)] == [trace_id_of(request)]


def test_spans_link_speak_the_conventions_and_hold_no_number_code_or_key(
    sandbox: Sandbox, collector: Collector
) -> None:
    worker = sandbox.worker(traces="link")
    sandbox.gateway.script(MOBILE, ["0"])
    request = ask(sandbox)
    sandbox.wait_state(KEY)
    sandbox.gateway.script(plain := "13900000001", ["0"])
    sandbox.send(plain, CODE, key=f"{KEY}2")
    sandbox.wait_state(f"{KEY}2")
    sandbox.send(wrong := "13700000001", code="12x", key=f"{KEY}3")
    sandbox.wait_state(f"{KEY}3", "dead")
    first, second, third, fourth, fifth = wait_for(
        lambda: len(collector.named(PROCESS)) == 5 and collector.named(PROCESS), 20, "five messages"
    )
    (publish,) = collector.named("apply_async/send_voice_code")
    failed, placed, *_ = collector.named("POST")

    assert first["links"] == second["links"] == [(trace_id_of(request), publish["id"])]
    assert (third["links"], fourth["links"]) == ([], [(third["trace"], third["id"])])
    assert {span["parent"] for span in (first, second, third, fourth, fifth)} == {""}
    assert [line["trace_id"] for line in finished(worker)[2:]] == [third["trace"]] * 2
    assert (first["kind"], failed["kind"]) == ("CONSUMER", "CLIENT")
    assert first["facts"] == {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": names.QUEUE,
        "voicecode.attempt": 1,
        "voicecode.replays": 0,
        "voicecode.outcome": "retry",
        "voicecode.row": "0",
        "error.type": "0",
    }
    assert placed["facts"] == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": urlsplit(sandbox.simulator.url).port,
        "url.full": f"{sandbox.simulator.url}?method=Submit",
        "voicecode.reply_code": 2,
    }
    assert (failed["failed"], placed["failed"]) == (True, False)
    assert (fifth["facts"]["error.type"], fifth["failed"]) == ("bad_input", True)
    ours = [span for span in collector.spans if span["resource"]["service.name"] == "voicecode"]
    secrets = (MOBILE, plain, wrong, CODE, KEY, APIKEY, ACCOUNT, "****")
    assert not [secret for secret in secrets if secret in json.dumps(ours)]


def test_the_trace_outlives_a_kill_and_a_replay_without_the_sdk(sandbox: Sandbox) -> None:
    """No setting is on: the record carries the trace, and the log names it."""
    first = sandbox.worker()
    sandbox.gateway.script(MOBILE, ["silent", "406"])
    send_traced(sandbox, TRACE)
    sandbox.wait_submitted()
    first.kill()
    second = sandbox.worker()
    sandbox.wait_state(KEY, "dead")
    settings = Settings(broker_url=sandbox.url)
    client = connect(settings)
    assert list(FailureQueue(client, settings, operator="test").replay((KEY,), Choice(ambiguous=True)))
    client.close()
    sandbox.wait_state(KEY)
    # A trace that holds the number itself is not kept.
    send_traced(sandbox, f"00-{'13900000002':0>32}-b7ad6b7169203331-01", "other", "13900000002")
    sandbox.wait_state("other")
    lines = wait_for(lambda: len(finished(second)) == 3 and finished(second), 20, "three tries")

    assert [line.get("trace_id") for line in lines] == [trace_id_of(TRACE), trace_id_of(TRACE), None]
    assert [line["trace_id"] for line in second.lines("dead_letter.written")] == [trace_id_of(TRACE)]
    assert TRACE not in json.dumps(sandbox.record(KEY))  # an accepted code's record keeps no trace


def send_traced(sandbox: Sandbox, trace: Any, key: str = KEY, mobile: str = MOBILE) -> None:
    sandbox.producer().send_task(
        names.SEND_TASK,
        args=[mobile, CODE],
        kwargs={"key": key},
        queue=names.QUEUE,
        headers={"traceparent": trace},
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        TRACE.upper(),
        TRACE + "-more",
        TRACE + "\n",
        "call 13800138000",
        None,
        7,
        [TRACE],
    ],
)
def test_what_is_no_traceparent_is_dropped(wrong: Any) -> None:
    assert trace_of(wrong) == ""
    assert trace_of(TRACE) == TRACE


def test_a_collector_that_is_away_delays_neither_a_call_nor_the_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    worker = sandbox.worker(traces="child")
    sandbox.wait_state(sandbox.send_all(20))
    assert all(line["elapsed_seconds"] < 1 for line in finished(worker))
    assert worker.stop() < 10
    assert MOBILE[:8] not in worker.text()


def test_without_the_extra_a_worker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    settings = Settings(traces="link")
    with pytest.raises(SettingsError, match=r"pip install 'voicecode\[otel\]'"):
        start.start(settings, instance="i", version="1")


def test_a_worker_without_traces_imports_nothing_of_them() -> None:
    program = "import sys, worker.components; print([name for name in sys.argv if name in sys.modules])"
    command = [sys.executable, "-c", program, "worker.tracing.spans", "opentelemetry.sdk.trace"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
