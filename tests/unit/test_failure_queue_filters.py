import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.failure_queue import Choice, Filter
from worker.failure_queue.timestamps import duration, interval, iso, moment, rate, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1.5h", 5400),
        ("7d", 604_800),
        ("1w", 604_800),
        ("2h30m", 9_000),
    ],
)
def test_a_length_of_time_is_written_with_its_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 weeks", "2h 30m", "1e3s"])
def test_a_wrong_length_of_time_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="2h30m, 7d or 1w"):
        seconds(text)


def test_a_moment_is_a_length_of_time_ago_or_a_date() -> None:
    assert moment("2h", now=10_000) == 2_800
    assert moment("1970-01-01T03:00+01:00", now=0) == 7_200
    assert moment("2026-01-31", now=0) == dt.datetime(2026, 1, 31).astimezone().timestamp()


def test_a_wrong_moment_is_told_how_to_write_it() -> None:
    with pytest.raises(ValueError, match="2026-01-31T03:00"):
        moment("yesterday", now=0)


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_moment_that_was_printed_can_be_read(epoch_seconds: int) -> None:
    assert moment(iso(epoch_seconds), now=0) == epoch_seconds


@pytest.mark.parametrize("digits", ["800", "80000", "80x0", "", "８０００"])
def test_the_end_of_a_number_is_its_last_four_digits(digits: str) -> None:
    with pytest.raises(ValueError, match="last four digits"):
        Filter(mobile_ends=digits)


def test_a_filter_says_what_it_means() -> None:
    wanted = Filter(
        reason="permanent", codes=("4051", "4050", "4051"), mobile_ends="8000", ambiguous=False, sendable=True
    )
    assert str(wanted) == "reason=permanent code=4051|code=4050 ends=8000 ambiguous=no sendable"
    assert str(Filter()) == "all"
    assert str(Filter(keys=("a",))) == "key=a"
    assert str(Filter(keys=("a", "b"))) == "2 keys"


def test_only_a_filter_without_conditions_means_everything() -> None:
    assert Filter().empty
    assert not Filter(ambiguous=False).empty
    assert not Filter(since=0.0).empty


def test_a_choice_says_what_it_allows() -> None:
    assert str(Choice()) == "sendable only"
    assert str(Choice(ambiguous=True, life_seconds=60)) == "ambiguous too, new life of 60 s"


@pytest.mark.parametrize(
    ("text", "expected"), [("20", 20), ("20/s", 20), ("90/m", 1.5), ("7200/h", 2), ("0.5", 0.5)]
)
def test_a_rate_is_a_second_a_minute_or_an_hour(text: str, expected: float) -> None:
    assert rate(text) == expected


@pytest.mark.parametrize("text", ["fast", "20/d", "0", "-1", "inf", "1/s/s", ""])
def test_a_wrong_rate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        rate(text)


def test_an_interval_has_its_zone_and_no_end_before_its_beginning() -> None:
    """`--since 1h --until 2h` found nothing, which read as good news."""
    assert interval(3600.0, None) == f"from {iso(3600)}"
    assert interval(3600.0, 7200.0).count(iso(0)[19:]) == 2
    with pytest.raises(ValueError, match="`since` is the earlier end"):
        Filter(since=7200.0, until=3600.0)


def test_a_length_of_time_is_read_in_its_best_unit() -> None:
    assert [duration(s) for s in (45, 480, 12_600)] == ["45 s", "8 min", "3.5 h"]
