"""What follows from one attempt: the policy's arithmetic."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replies import ROWS, Action, Kind, Replies, Row, Symptom
from config.settings import Settings
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn, RetryPolicy

REPLIES: Final = Replies()
DEFAULT: Final = RetryPolicy.of(Settings(_env_file=None))
FAILED: Final = REPLIES.of_code(0, "")
RESET: Final = REPLIES.of_symptom(Symptom.RESET)
BUSY: Final = REPLIES.of_symptom(Symptom.HTTP_503)
SKEW: Final = REPLIES.of_code(40501, "")
TOO_OFTEN: Final = REPLIES.of_code(4080, "")

LONGEST: Final[Callable[[float, float], float]] = lambda _low, high: high  # noqa: E731 - randomness is an argument
SHORTEST: Final[Callable[[float, float], float]] = lambda low, _high: low  # noqa: E731


def policy(**more: Any) -> RetryPolicy:
    return dataclasses.replace(DEFAULT, **{"uniform": LONGEST, **more})


def decide(row: Row, *, by: RetryPolicy | None = None, **facts: Any) -> Decision:
    known: dict[str, Any] = {
        "attempt": 1,
        "since_ambiguous": None,
        "spent": (),
        "retry_after_seconds": None,
        "seconds_left": 300.0,
    }
    return (by or policy()).decide(row, **{**known, **facts})


def delay(row: Row, **facts: Any) -> float:
    decision = decide(row, **facts)
    assert isinstance(decision, RetryIn), decision
    return decision.seconds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_first_attempt_is_followed_by_what_the_row_says(row: Row) -> None:
    decision = decide(row)
    if row.kind is Kind.ACCEPTED:
        assert decision == Done()
    elif row.kind is Kind.PERMANENT:
        assert decision == GiveUp(Reason.PERMANENT)
    else:
        assert isinstance(decision, RetryIn)


@given(
    row=st.sampled_from([row for row in ROWS if row.kind is Kind.PERMANENT]),
    attempt=st.integers(1, 5),
    since=st.none() | st.integers(0, 4),
    left=st.floats(-10, 3600),
)
def test_a_permanent_reply_is_never_tried_again(
    row: Row, attempt: int, since: int | None, left: float
) -> None:
    assert decide(row, attempt=attempt, since_ambiguous=since, seconds_left=left) == GiveUp(Reason.PERMANENT)


@given(attempt=st.integers(1, 20), since=st.none() | st.integers(0, 4), left=st.floats(-10, 3600))
def test_an_acceptance_is_the_end_whatever_else_holds(attempt: int, since: int | None, left: float) -> None:
    assert decide(REPLIES.of_code(2, ""), attempt=attempt, since_ambiguous=since, seconds_left=left) == Done()


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0)])
def test_the_backoff_doubles(attempt: int, ceiling: float) -> None:
    assert delay(FAILED, attempt=attempt) == ceiling


def test_the_backoff_stops_at_the_cap() -> None:
    assert delay(FAILED, by=policy(max_attempts=20), attempt=19) == 30.0


def test_the_jitter_is_full_it_begins_at_nothing() -> None:
    """Drawn from 0 to the ceiling; the gap is the floor."""
    assert delay(FAILED, by=policy(uniform=SHORTEST), attempt=4) == 1.5
    assert delay(FAILED, by=policy(uniform=SHORTEST, gap_seconds=0.0), attempt=4) == 0.0


NUMBERS: Final = {
    "base_seconds": st.floats(0.01, 60),
    "cap_seconds": st.floats(0.01, 600),
    "gap_seconds": st.floats(0, 60),
}


@given(
    numbers=st.fixed_dictionaries(NUMBERS),
    attempt=st.integers(1, 19),
    retry_after=st.none() | st.floats(0, 1e6),
    left=st.floats(-10, 3600),
    row=st.sampled_from([row for row in ROWS if row.kind in {Kind.TRANSIENT, Kind.AMBIGUOUS}]),
    seed=st.randoms(use_true_random=False),
)
def test_no_retry_is_too_soon_too_late_or_against_the_gateways_wish(  # noqa: PLR0913, PLR0917 - one argument per dimension
    numbers: dict[str, float], attempt: int, retry_after: float | None, left: float, row: Row, seed: Any
) -> None:
    by = policy(**numbers, max_attempts=20, uniform=seed.uniform)
    decision = decide(row, by=by, attempt=attempt, retry_after_seconds=retry_after, seconds_left=left)
    if isinstance(decision, RetryIn):
        ceiling = row.delay_seconds or 0 if row.action is Action.WAIT else by.cap_seconds
        assert decision.seconds >= by.gap_seconds
        assert decision.seconds >= (retry_after or 0)
        assert decision.seconds <= max(by.gap_seconds, ceiling + (retry_after or 0))
        assert decision.seconds < left
    else:
        assert decision == GiveUp(Reason.AMBIGUOUS if row.kind is Kind.AMBIGUOUS else Reason.EXPIRED)


def test_retry_after_comes_before_the_jitter() -> None:
    """All the codes that met one 503 do not come back in the same instant."""
    assert delay(BUSY, by=policy(uniform=SHORTEST), retry_after_seconds=7.0) == 7.0
    assert delay(BUSY, retry_after_seconds=7.0) == 9.0


def test_a_retry_after_beyond_the_codes_life_ends_it() -> None:
    assert decide(BUSY, retry_after_seconds=300.0, seconds_left=299.0) == GiveUp(Reason.EXPIRED)


@pytest.mark.parametrize(("since", "reason"), [(None, Reason.EXPIRED), (0, Reason.AMBIGUOUS)])
def test_a_code_that_may_have_rung_does_not_die_as_merely_expired(since: int | None, reason: Reason) -> None:
    assert decide(FAILED, since_ambiguous=since, seconds_left=1.0, by=policy(ambiguous_retries=4)) == GiveUp(
        reason
    )


def test_the_last_attempt_is_the_last() -> None:
    assert isinstance(decide(FAILED, attempt=4), RetryIn)
    assert decide(FAILED, attempt=5) == GiveUp(Reason.EXHAUSTED)
    assert decide(FAILED, attempt=5, since_ambiguous=1, by=policy(ambiguous_retries=4)) == GiveUp(
        Reason.AMBIGUOUS
    )


@pytest.mark.parametrize("budget", range(5))
@pytest.mark.parametrize("later", [FAILED, RESET, BUSY], ids=lambda row: row.name)
def test_after_an_ambiguous_attempt_so_many_follow_and_no_more(budget: int, later: Row) -> None:
    """Whatever the later ones meet, and whatever attempts are left."""
    by = policy(ambiguous_retries=budget, max_attempts=20)
    followed = 0
    decision = decide(RESET, by=by, attempt=1)
    while isinstance(decision, RetryIn):
        followed += 1
        decision = decide(later, by=by, attempt=1 + followed, since_ambiguous=followed)
    assert (followed, decision) == (budget, GiveUp(Reason.AMBIGUOUS))


def test_with_a_budget_of_none_a_lost_reply_is_never_followed_by_a_call() -> None:
    assert decide(RESET, by=policy(ambiguous_retries=0)) == GiveUp(Reason.AMBIGUOUS)


@pytest.mark.parametrize(("row", "seconds"), [(SKEW, 1.5), (TOO_OFTEN, 60.0)], ids=["40501", "4080"])
def test_a_row_with_a_delay_of_its_own_is_tried_again_so_many_times(row: Row, seconds: float) -> None:
    assert decide(row) == RetryIn(seconds, spends=row.name)
    assert decide(row, spent=(row.name,), attempt=2) == GiveUp(Reason.EXHAUSTED)
    assert decide(row, spent=("other",), attempt=2) == RetryIn(seconds, spends=row.name)


def test_an_ordinary_retry_spends_nothing() -> None:
    assert decide(FAILED) == RetryIn(2.0, spends="")


def test_an_override_turns_a_retry_into_a_burial() -> None:
    buried = Replies({"0": {"action": "bury"}}).of_code(0, "")
    assert decide(buried) == GiveUp(Reason.EXHAUSTED)


def test_the_numbers_come_from_the_settings() -> None:
    by = RetryPolicy.of(
        Settings(
            _env_file=None,
            backoff_base_seconds=3,
            backoff_cap_seconds=4,
            retry_gap_seconds=5,
            max_attempts=6,
            ambiguous_retries=4,
        )
    )
    assert (by.base_seconds, by.cap_seconds, by.gap_seconds, by.max_attempts, by.ambiguous_retries) == (
        3,
        4,
        5,
        6,
        4,
    )


def test_the_jitter_is_real() -> None:
    by = policy(uniform=RetryPolicy.of(Settings(_env_file=None)).uniform, gap_seconds=0.0)
    assert len({delay(FAILED, by=by) for _ in range(20)}) > 1
