"""Faults in and around a real worker: bugs, a kill in mid-call, Redis away."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import names
from tests.support.service import TIMES, Service, new_key, new_number, running_service
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, wait_for

CODE = "48291"


@pytest.fixture(scope="module")
def buggy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a worker with bugs, on a Redis that keeps its data over a restart."""
    with running_service(
        tmp_path_factory.mktemp("buggy"), app="tests.support.buggy_app", data=True
    ) as service:
        yield service


@pytest.mark.parametrize(
    ("step", "attempts", "calls"),
    [
        ("parse", ["2"], 1),
        ("claim", ["2"], 1),
        ("form", ["crash_before_send", "2"], 1),
        ("submit", ["crash_after_send", "2"], 1),
        ("read", ["crash_after_send", "2"], 2),
        ("decide", ["2"], 1),
        ("finish", ["lease_over", "2"], 2),
        ("report", ["2"], 1),
    ],
)
def test_a_bug_at_any_step_loses_nothing(buggy: Service, step: str, attempts: list[str], calls: int) -> None:
    """Before the claim nothing happened; before the first byte: transient; after it: ambiguous."""
    key, mobile = new_key(), new_number()
    buggy.send(mobile, CODE, key=key, purpose=f"bug-{step}")
    record = buggy.ended(key)
    assert (record.state, record.tries) == ("accepted", len(attempts))
    assert buggy.calls(mobile) == calls <= 1 + record.ambiguous
    assert record.ambiguous == sum(row in {"crash_after_send", "lease_over"} for row in attempts)
    buggy.wait_idle()
    crashes = [
        line
        for line in buggy.worker.lines()
        if "exception" in line and f"bug in {step}:" in line["exception"]
    ]
    assert [line["level"] for line in crashes] == ["error"]
    # Each kind of crash is one incident, which earlier steps may have begun.
    incident = crashes[0]["incident"]
    alerts = [line["alert"] for line in buggy.worker.lines() if line.get("incident") == incident]
    assert (alerts[0], alerts.count("page")) == ("page", 1)
    assert mobile not in buggy.worker.text()
    assert CODE not in buggy.worker.text()


@pytest.mark.parametrize(
    ("step", "row", "reason"),
    [("form", "crash_before_send", "expired"), ("read", "crash_after_send", "ambiguous")],
)
def test_a_bug_that_stays_ends_as_its_row_says(buggy: Service, step: str, row: str, reason: str) -> None:
    """Before the form has left a bug costs the code only time; after it, two possible rings."""
    key = new_key()
    buggy.send(new_number(), CODE, key=key, purpose=f"bug-{step}-always", expires_at=time.time() + 3)
    record = buggy.ended(key)
    assert (record.row, record.reason, record.scope) == (row, reason, "host")
    assert (len(record.attempts) == 2) == (reason == "ambiguous")


def test_a_bug_that_stays_before_the_claim_keeps_the_message(buggy: Service) -> None:
    """It returns once per visibility time-out until a worker without the bug takes it."""
    key = new_key()
    task_id = buggy.send(new_number(), CODE, key=key, purpose="bug-claim-always")
    crashed = wait_for(
        lambda: len(buggy.lines("task.crashed", task_id=task_id)) >= 2 and buggy.left(),
        LIMIT_SECONDS,
        "a second look",
    )
    assert set(crashed) <= {"queue", "unacked"}
    assert len(buggy.lines("task.crashed", task_id=task_id)) == 2
    buggy.redis.delete(names.UNACKED, names.UNACKED_INDEX, names.QUEUE)


def test_a_worker_that_woke_up_past_the_deadline_sends_nothing(buggy: Service) -> None:
    key, mobile = new_key(), new_number()
    buggy.send(mobile, CODE, key=key, purpose="slow-submit")
    record = buggy.ended(key)
    lines = buggy.wait_lines("attempt.finished", 2, key=key)
    assert [line["row"] for line in lines] == ["not_sent", "2"]
    assert (record.ambiguous, buggy.submissions(mobile)) == (0, 1)


def test_an_outcome_is_written_after_redis_came_back(buggy: Service) -> None:
    """And the phone is not called twice for it."""
    key, mobile = new_key(), new_number()
    buggy.simulator.client.script(mobile, ["slow:0.3"])
    buggy.send(mobile, CODE, key=key)
    wait_for(lambda: buggy.submissions(mobile), LIMIT_SECONDS, "the call")
    buggy.server.stop()
    buggy.line("outcome.delayed", key=key)
    buggy.server.restart()
    record = buggy.ended(key)
    assert (record.state, record.tries, record.ambiguous) == ("accepted", 1, 0)
    buggy.wait_idle()
    assert buggy.submissions(mobile) == 1


def test_a_message_is_left_when_redis_is_away_before_the_claim_and_delivered_later(buggy: Service) -> None:
    key, mobile = new_key(), new_number()
    buggy.send(mobile, CODE, key=key, purpose="slow-claim")
    wait_for(lambda: buggy.redis.hlen(names.UNACKED), LIMIT_SECONDS, "the fetch")
    buggy.server.stop()
    buggy.line("message.left")
    buggy.server.restart()
    record = buggy.ended(key)
    assert (record.state, record.tries, record.ambiguous) == ("accepted", 1, 0)
    assert buggy.submissions(mobile) == 1


def test_a_code_whose_record_a_failover_took_in_mid_call_is_taken_up_again_from_its_message(
    buggy: Service,
) -> None:
    key, mobile = new_key(), new_number()
    buggy.simulator.client.script(mobile, ["0"])
    buggy.send(mobile, CODE, key=key, purpose="slow-finish")
    wait_for(lambda: buggy.submissions(mobile), LIMIT_SECONDS, "the call")
    buggy.redis.delete(names.RECORD_PREFIX + key)
    buggy.line("record.missing", key=key)
    record = buggy.ended(key)
    assert (record.state, record.tries) == ("accepted", 1)
    assert buggy.submissions(mobile) == 2


def test_a_worker_killed_in_mid_call_is_a_lease_that_is_over(buggy: Service) -> None:
    """It counts as ambiguous, is called again within the limit, and records the death."""
    key, mobile = new_key(), new_number()
    buggy.simulator.client.script(mobile, ["accepted_then_silent", "4030"])
    buggy.send(mobile, CODE, key=key)
    wait_for(lambda: buggy.submissions(mobile), LIMIT_SECONDS, "the call")
    buggy.worker.kill()
    buggy.worker.restart()
    record = buggy.ended(key)
    assert [attempt.row for attempt in record.attempts] == ["lease_over", "4030"]
    assert (record.state, record.reason, record.ambiguous, record.deaths) == ("dead", "permanent", 1, 1)


def test_a_worker_frozen_in_mid_call_past_its_lease_overwrites_nothing(
    buggy: Service, tmp_path: Path
) -> None:
    key, mobile = new_key(), new_number()
    buggy.simulator.client.script(mobile, ["accepted_then_silent", "2"])
    buggy.send(mobile, CODE, key=key)
    wait_for(lambda: buggy.submissions(mobile), LIMIT_SECONDS, "the call")
    buggy.worker.signal(signal.SIGSTOP)
    values: dict[str, Any] = {**TIMES, "broker_url": buggy.server.url, "gateway_url": buggy.simulator.url}
    with RunningWorker(tmp_path / "other.log", environment(**values)):
        assert buggy.ended(key).state == "accepted"
        buggy.worker.signal(signal.SIGCONT)
        buggy.line("attempt.finished", key=key, recorded="appended")
    after = buggy.ended(key)
    assert (after.state, after.ambiguous, after.calls) == ("accepted", 1, 1)
    assert buggy.submissions(mobile) == 2


def test_a_mixed_load_is_conserved(tmp_path: Path) -> None:
    """Each code ends in one way; ambiguous attempts explain every second call (I1, I2, I4)."""
    rates = {
        "0": 0.1,
        "http_503:0.1": 0.05,
        "reset_after_reading": 0.04,
        "accepted_then_reset": 0.06,
        "html": 0.03,
        "4050": 0.03,
        "40501": 0.05,
    }
    with running_service(tmp_path, ambiguous_retries=2) as service:
        service.simulator.client.rates(rates, seed=7)
        codes = {new_key(): new_number() for _ in range(300)}
        for index, (key, mobile) in enumerate(codes.items()):
            for _ in range(2 if index % 5 == 0 else 1):
                service.send(mobile, CODE, key=key)
        records = {key: service.ended(key, 40) for key in codes}
        service.wait_idle()
        journal = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
        submitted = Counter(entry["mobile"] for entry in journal if "mobile" in entry)
        called = Counter(entry["mobile"] for entry in journal if entry.get("called"))
        for key, mobile in codes.items():
            record = records[key]
            assert service.record(key) == record
            assert submitted[mobile] == record.tries
            assert called[mobile] <= 1 + record.ambiguous
            assert record.calls == (record.state == "accepted") <= called[mobile]
            kinds = [attempt.kind for attempt in record.attempts]
            assert not {"accepted", "permanent"} & set(kinds[:-1])
            stands_in_failure_queue = service.redis.zscore(names.DEAD, key) is not None
            assert stands_in_failure_queue == (record.state == "dead") == bool(record.reason)
        ends = Counter(record.reason or record.state for record in records.values())
        assert set(ends) >= {"accepted", "permanent", "ambiguous"}
        assert sum(record.ambiguous for record in records.values()) > 10
        assert service.lines("attempt.skipped")
        assert not service.lines("call.doubled")
