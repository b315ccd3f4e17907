"""The simulator's scenarios and the grammar of its magic numbers."""

import pytest

from config.replies import ROWS, Kind, Symptom
from config.settings import Settings
from worker.message import normalise_mobile
from worker.simulator.bodies import Answer
from worker.simulator.scenarios import FORMS, INSTEAD, SCENARIOS, find, magic_number, of_number

NOT_THE_SERVERS = {
    Symptom.DNS_FAILED,
    Symptom.CONNECT_REFUSED,
    Symptom.CONNECT_TIMEOUT,
    Symptom.PROXY_FAILED,
    Symptom.TLS_FAILED,
    Symptom.TLS_UNTRUSTED,
    Symptom.NOT_SENT,
    Symptom.CRASH_BEFORE_SEND,
    Symptom.CRASH_AFTER_SEND,
    Symptom.LEASE_OVER,
}


def test_every_row_of_the_table_can_be_played_save_what_no_server_can_show() -> None:
    shown = {scenario.row for scenario in SCENARIOS.values()}
    assert {row.name for row in ROWS if row.symptom not in NOT_THE_SERVERS} == shown


@pytest.mark.parametrize("times", [0, 1, 9])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_magic_number_asks_for_its_scenario_and_is_a_mobile_number(name: str, times: int) -> None:
    mobile = magic_number(name, times)
    assert (name, times) == of_number(mobile)
    assert mobile == normalise_mobile(mobile)


def test_magic_numbers_are_unique() -> None:
    assert len(SCENARIOS) == len({magic_number(name) for name in SCENARIOS})


@pytest.mark.parametrize(
    ("scenario", "times", "mobile"),
    [
        ("4050", 0, "19900004050"),
        ("0", 3, "19903000000"),
        ("408/limit", 0, "19900100408"),
        ("reset_after_reading", 1, "19911000001"),
    ],
)
def test_magic_numbers_keep_their_meaning(scenario: str, times: int, mobile: str) -> None:
    """They stand in people's notes and in the documentation."""
    assert mobile == magic_number(scenario, times)


def test_a_code_without_a_row_has_a_magic_number_too() -> None:
    assert of_number(magic_number("4999", 2)) == ("4999", 2)
    assert find("4999")[0].row == "unknown"


@pytest.mark.parametrize(
    "mobile", ["13800138000", "19930000000", "19919999999", "19920009999", "19900999999", "1990000405", ""]
)
def test_any_other_number_is_not_magic(mobile: str) -> None:
    assert of_number(mobile) is None


@pytest.mark.parametrize("name", ["", "slow:", "slow:-1", "slow:fast", "nonsense", "4050:x"])
def test_a_name_that_is_no_scenario_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ValueError, match="accepted_then_reset"):
        find(name)


def test_seconds_stand_behind_a_name() -> None:
    assert find("silent:1.5")[1] == 1.5


@pytest.mark.parametrize("times", [-1, 10])
def test_a_magic_number_counts_to_nine(times: int) -> None:
    with pytest.raises(ValueError, match="0 \\(always\\) to 9"):
        magic_number("0", times)


def test_a_scenario_that_is_called_is_one_a_worker_may_count_as_accepted_or_ambiguous() -> None:
    kinds = {row.name: row.kind for row in ROWS}
    assert {kinds[scenario.row] for scenario in SCENARIOS.values() if scenario.called} == {
        Kind.ACCEPTED,
        Kind.AMBIGUOUS,
    }
    assert all(scenario.called for scenario in FORMS)
    assert any(not scenario.called and kinds[scenario.row] is Kind.AMBIGUOUS for scenario in INSTEAD)


@pytest.mark.parametrize("name", ["drip_header", "drip_body", "silent", "accepted_then_silent"])
def test_what_should_show_a_time_out_outlasts_a_whole_attempt(name: str) -> None:
    """Though each dripping byte comes well within the read time-out."""
    answer = Answer(code=2, message=SCENARIOS["2"].message, voice_id="1" * 20)
    pauses = [pause for pause, _data in SCENARIOS[name].respond(answer, "json", 0).steps]
    defaults = Settings.model_fields
    assert sum(pauses) > defaults["attempt_deadline_seconds"].default
    assert not name.startswith("drip") or max(pauses) < defaults["read_timeout_seconds"].default
