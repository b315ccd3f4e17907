"""Every row of the table, played by the simulator to a real worker, ends as the table says."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from config.replies import ROWS, Alert, Kind, Mends, Row, Spends, Symptom
from tests.support.service import TIMES, Service, new_key, new_number, running_service
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.ledger.record import Record
from worker.retry import TURNED_AWAY_AT_MOST
from worker.simulator.scenarios import SCENARIOS, Scenario, magic_number

ROW: Final = {row.name: row for row in ROWS}
ELSEWHERE: Final = {
    Symptom.CONNECT_REFUSED: "below",
    Symptom.DNS_FAILED: "below",
    Symptom.TLS_FAILED: "below",
    Symptom.CONNECT_TIMEOUT: "test_gateway_failures.py",
    Symptom.PROXY_FAILED: "test_gateway_failures.py",
    Symptom.TLS_UNTRUSTED: "test_gateway_tls.py",
    Symptom.NOT_SENT: "test_worker_faults.py",
    Symptom.CRASH_BEFORE_SEND: "test_worker_faults.py",
    Symptom.CRASH_AFTER_SEND: "test_worker_faults.py",
    Symptom.LEASE_OVER: "test_worker_faults.py",
}
"""Rows that no server can show, and where they are met."""

NOT_ENDING: Final = {"slow"}
"""Slower than this worker's read time-out."""


@pytest.fixture(scope="module")
def shown(service: Service) -> dict[str, str]:
    """Send a code to every magic number at once, and return the key of each scenario."""
    keys = {name: new_key() for name in SCENARIOS}
    for name, key in keys.items():
        service.send(magic_number(name), "0042", key=key)
    return keys


def attempts_expected(row: Row) -> int:
    if row.spends is Spends.PLACE and row.kind is Kind.TRANSIENT:
        return TURNED_AWAY_AT_MOST
    if row.kind is Kind.TRANSIENT:
        return TIMES["max_attempts"] if row.times is None else 1 + row.times
    return 2 if row.kind is Kind.AMBIGUOUS else 1


REASONS: Final = {
    Kind.ACCEPTED: "",
    Kind.TRANSIENT: "exhausted",
    Kind.AMBIGUOUS: "ambiguous",
    Kind.PERMANENT: "permanent",
}
LEVELS: Final = {Alert.NONE: "info", Alert.WARN: "warning", Alert.PAGE: "error"}
ALERTS: Final[dict[Alert, set[str | None]]] = {
    Alert.NONE: {None},
    Alert.WARN: {"warn"},
    Alert.PAGE: {"page", "warn"},  # the first line of a row pages
}


def check(record: Record, row: Row) -> None:
    assert record.state == ("accepted" if row.kind is Kind.ACCEPTED else "dead")
    # What is accepted keeps the counts, and no attempts.
    told = "" if row.kind is Kind.ACCEPTED else row.name
    assert (record.row, record.reason) == (told, REASONS[row.kind])
    assert record.tries == attempts_expected(row)
    assert {attempt.row for attempt in record.attempts} == {told} - {""}
    assert record.ambiguous == (record.tries if row.kind is Kind.AMBIGUOUS else 0)
    if row.kind is not Kind.ACCEPTED:
        assert record.scope == row.scope.value
        assert record.sendable


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a worker that stops sending when it meets a refusal of all."""
    with running_service(tmp_path_factory.mktemp("fleet"), stop_sending=True) as service:
        yield service


INCIDENTS: Final = [scenario for scenario in SCENARIOS.values() if ROW[scenario.row].is_incident]


@pytest.mark.parametrize("scenario", INCIDENTS, ids=lambda scenario: scenario.name)
def test_a_refusal_of_all_stops_the_fleet_and_pages_once(fleet: Service, scenario: Scenario) -> None:
    """The code dies of its row, or is parked for a top-up; the next one is not submitted."""
    row, keys, numbers = ROW[scenario.row], [new_key(), new_key()], [new_number(), new_number()]
    before = len(fleet.lines("sending.stopped", row=row.name))
    fleet.simulator.client.outage(scenario.name)
    try:
        fleet.send(numbers[0], "0042", key=keys[0])
        (stopped,) = fleet.wait_lines("sending.stopped", before + 1, row=row.name)[before:]
        assert (stopped["alert"], stopped["runbook"]) == ("page", row.runbook)
        fleet.send(numbers[1], "0042", key=keys[1])
        if row.mends is Mends.TIME:
            wait_for(lambda: all(map(fleet.parked, keys)), LIMIT_SECONDS, "both codes to be parked")
        else:
            for key in keys:
                record = fleet.ended(key)
                assert (record.state, record.reason, record.row) == ("dead", "permanent", row.name)
        # A clock that is off is believed at its second refusal.
        assert [fleet.submissions(number) for number in numbers] == [1 if row.times is None else 2, 0]
        assert len(fleet.lines("sending.stopped", row=row.name)) == before + 1
    finally:
        fleet.forget_incident()


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS.values() if scenario.name not in NOT_ENDING],
    ids=lambda scenario: scenario.name,
)
def test_a_scenario_ends_as_its_row_says(service: Service, shown: dict[str, str], scenario: Scenario) -> None:
    """State, reason, scope, attempts, what was submitted, and how loudly the log speaks."""
    row, key = ROW[scenario.row], shown[scenario.name]
    record = service.ended(key)
    check(record, row)
    assert record.reply_code == scenario.code
    mobile = magic_number(scenario.name)
    assert service.submissions(mobile) == record.tries
    assert service.calls(mobile) == (record.tries if scenario.called else 0)
    for attempt in record.attempts:
        line = service.line("attempt.finished", key=key, attempt=attempt.number)
        assert (line["row"], line["kind"], line["level"]) == (row.name, row.kind.value, LEVELS[row.alert])
        assert line.get("alert") in ALERTS[row.alert]
    letters = service.lines("dead_letter.written", key=key)
    assert [line["reason"] for line in letters] == ([] if row.kind is Kind.ACCEPTED else [REASONS[row.kind]])


def test_each_row_that_pages_does_so_once(service: Service, shown: dict[str, str]) -> None:
    ended = [service.ended(key) for name, key in shown.items() if name not in NOT_ENDING]
    paging = {row.name for row in ROWS if row.alert is Alert.PAGE}
    lines = service.lines("attempt.finished")
    assert {line["row"] for line in lines} >= paging & {record.row for record in ended}
    pages = Counter(line["row"] for line in lines if line.get("alert") == "page")
    assert pages == dict.fromkeys(paging & {line["row"] for line in lines}, 1)


def test_every_row_is_shown_somewhere() -> None:
    shown_rows = {scenario.row for scenario in SCENARIOS.values()} | {symptom.value for symptom in ELSEWHERE}
    assert {row.name for row in ROWS} == shown_rows


def test_a_failure_that_heals_ends_as_accepted(service: Service) -> None:
    key = new_key()
    mobile = magic_number("0", 2)
    service.send(mobile, "0042", key=key)
    record = service.ended(key)
    rows = [line["row"] for line in service.lines("attempt.finished", key=key)]
    assert (record.state, record.tries, rows) == ("accepted", 3, ["0", "0", "2"])
    assert (service.submissions(mobile), service.calls(mobile)) == (3, 1)


def test_the_form_holds_the_bare_number_and_the_code_as_it_was_sent(service: Service) -> None:
    key, mobile = new_key(), new_number()
    service.send(f"+86 {mobile[:3]}-{mobile[3:7]}-{mobile[7:]}", "0042", key=key)
    service.ended(key)
    (submission,) = service.simulator.client.submissions(mobile)
    assert (submission.code, submission.method, submission.signature) == ("0042", "POST", "dynamic")


def test_one_line_tells_all_of_an_attempt(service: Service) -> None:
    key, mobile = new_key(), new_number()
    task_id = service.send(mobile, "0042", key=key, purpose="login")
    record = service.ended(key)
    line = service.line("attempt.finished", key=key)
    expected = {
        "task_id": task_id,
        "attempt": 1,
        "outcome": "accepted",
        "reply_code": 2,
        "http_status": 200,
        "mobile": f"137****{mobile[-4:]}",
        "purpose": "login",
        "voice_id": record.voice_id,
        "recorded": "accepted",
    }
    assert line.items() >= expected.items()
    assert 0 < line["elapsed_seconds"] <= line["age_seconds"] + 0.001 < 10
    assert line["worker"].startswith("celery@")


@pytest.mark.parametrize(
    ("symptom", "gateway"),
    [
        (Symptom.CONNECT_REFUSED, "http://127.0.0.1:9/voice"),
        (Symptom.DNS_FAILED, "http://gateway.invalid/voice"),
        (Symptom.TLS_FAILED, "https://127.0.0.1:{simulator}/voice"),
    ],
    ids=lambda value: value.value if isinstance(value, Symptom) else "",
)
def test_a_gateway_that_cannot_be_reached_costs_a_code_nothing_but_time(
    tmp_path: Path, service: Service, symptom: Symptom, gateway: str
) -> None:
    """It is tried for as long as it lives, and its record says what stood in the way."""
    address = gateway.format(simulator=service.simulator.port)
    values: dict[str, Any] = {
        "gateway_url": address,
        "read_timeout_seconds": 0.5,
        "connect_timeout_seconds": 0.5,
        "attempt_deadline_seconds": 0.6,
    }
    with running_service(tmp_path, **values) as elsewhere:
        key = new_key()
        elsewhere.send(new_number(), "0042", key=key, expires_at=time.time() + 4)
        record = elsewhere.ended(key)
        assert (record.state, record.reason, record.ambiguous) == ("dead", "expired", 0)
        assert {attempt.row for attempt in record.attempts} == {symptom.value}
        assert len(record.attempts) > TIMES["max_attempts"]
        assert not elsewhere.lines("attempt.crashed")
