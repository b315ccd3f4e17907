"""What follows from one try: the policy's arithmetic, with default numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replies import ROWS, Action, Kind, Replies, Row, Spends, Symptom
from config.settings import Settings
from worker.retry import (
    LAST_TRY,
    OTHER_HOST,
    TURNED_AWAY_AT_MOST,
    Decision,
    Done,
    GiveUp,
    Reason,
    RetryIn,
    RetryPolicy,
    Tries,
)

REPLIES: Final = Replies()
DEFAULT: Final = RetryPolicy.of(Settings(_env_file=None, stop_sending=False))
FAILED: Final = REPLIES.of_code(0, "")
RESET: Final = REPLIES.of_symptom(Symptom.RESET)
BUSY: Final = REPLIES.of_symptom(Symptom.HTTP_503)
REFUSED: Final = REPLIES.of_symptom(Symptom.CONNECT_REFUSED)
SKEW: Final = REPLIES.of_code(40501, "")
TOO_OFTEN: Final = REPLIES.of_code(4080, "")

LONGEST: Final[Callable[[float, float], float]] = lambda _low, high: high  # noqa: E731 - randomness is an argument
SHORTEST: Final[Callable[[float, float], float]] = lambda low, _high: low  # noqa: E731
RETRIED: Final = [row for row in ROWS if row.kind in {Kind.TRANSIENT, Kind.AMBIGUOUS}]
NOTHING_YET: Final = Tries(submissions=0, rings=0, turned_away=0, in_a_row=0)


def policy(**more: Any) -> RetryPolicy:
    return dataclasses.replace(DEFAULT, **{"uniform": LONGEST, **more})


def first(row: Row) -> Tries:
    """Return what a code has spent whose first try met this row."""
    return Tries(
        submissions=int(row.spends in {Spends.SUBMISSION, Spends.RING}),
        rings=int(row.spends is Spends.RING),
        turned_away=int(row.spends is Spends.PLACE),
        in_a_row=0,
    )


def decide(
    row: Row,
    *,
    by: RetryPolicy | None = None,
    retry_after_seconds: float | None = None,
    seconds_left: float = 300.0,
    **spent: Any,
) -> Decision:
    tries = dataclasses.replace(first(row), **spent)
    return (by or policy()).decide(
        row, tries=tries, retry_after_seconds=retry_after_seconds, seconds_left=seconds_left
    )


def delay(row: Row, **facts: Any) -> float:
    decision = decide(row, **facts)
    assert isinstance(decision, RetryIn), decision
    return decision.seconds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_first_try_is_followed_by_what_the_row_says(row: Row) -> None:
    decision = decide(row)
    if row.kind is Kind.ACCEPTED:
        assert decision == Done()
    elif row.kind is Kind.PERMANENT:
        assert decision == GiveUp(Reason.PERMANENT)
    else:
        assert isinstance(decision, RetryIn)


@given(
    row=st.sampled_from([row for row in ROWS if row.kind is Kind.PERMANENT]),
    submissions=st.integers(1, 5),
    rings=st.integers(0, 4),
    left=st.floats(-10, 3600),
)
def test_a_permanent_reply_is_never_tried_again(row: Row, submissions: int, rings: int, left: float) -> None:
    decision = decide(row, submissions=submissions, rings=rings, seconds_left=left, rows=(OTHER_HOST,))
    assert decision == GiveUp(Reason.PERMANENT)


@pytest.mark.parametrize("code", [400, 4052])
def test_a_host_that_is_refused_hands_the_code_to_one_other_host(code: int) -> None:
    row = REPLIES.of_code(code, "")
    assert decide(row, by=policy(parks=True)) == RetryIn(1.5, spends=OTHER_HOST)
    assert decide(row, by=policy(parks=True), rows=(OTHER_HOST,)) == GiveUp(Reason.PERMANENT)
    assert decide(row) == GiveUp(Reason.PERMANENT)


def test_an_empty_account_parks_the_code() -> None:
    """It was refused unread: no submission is spent, and it waits for the top-up."""
    empty = REPLIES.of_code(4051, "")
    by = policy(parks=True)
    assert decide(empty, by=by) == RetryIn(1.5)
    assert decide(empty, by=by, turned_away=TURNED_AWAY_AT_MOST) == GiveUp(Reason.EXHAUSTED)
    assert decide(empty) == GiveUp(Reason.PERMANENT)


@given(submissions=st.integers(1, 20), rings=st.integers(0, 4), left=st.floats(-10, 3600))
def test_an_acceptance_is_the_end_whatever_else_holds(submissions: int, rings: int, left: float) -> None:
    accepted = REPLIES.of_code(2, "")
    assert decide(accepted, submissions=submissions, rings=rings, seconds_left=left) == Done()


WAITS: Final[dict[Row, list[tuple[float, float]]]] = {
    REFUSED: [(0.25, 0.75), (0.25, 1.25), (0.25, 2.25), (0.25, 4.25), (0.25, 5.25), (0.25, 5.25)],
    BUSY: [(1.5, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30)],
    FAILED: [(2, 4), (6, 12), (18, 36), (50, 100), (50, 100)],
    RESET: [(7.5, 15), (7.5, 15)],
}


@pytest.mark.parametrize(
    ("row", "in_a_row", "bounds"),
    [(row, n, bounds) for row, waits in WAITS.items() for n, bounds in enumerate(waits)],
    ids=lambda value: value.name if isinstance(value, Row) else None,
)
def test_each_kind_of_try_waits_by_numbers_of_its_own(
    row: Row, in_a_row: int, bounds: tuple[float, float]
) -> None:
    shortest = delay(row, in_a_row=in_a_row, by=policy(uniform=SHORTEST))
    assert (shortest, delay(row, in_a_row=in_a_row)) == bounds


def test_five_refused_submissions_span_about_two_minutes() -> None:
    """The gateway's bad minute must not use up a code's budget in the first half of its life."""
    middle = policy(uniform=lambda low, high: (low + high) / 2)
    waits = [delay(FAILED, submissions=n, in_a_row=n - 1, by=middle) for n in range(1, 5)]
    assert sum(waits) == pytest.approx(114)


@given(in_a_row=st.integers(0, 10_000), left=st.floats(2, 3600), seed=st.randoms(use_true_random=False))
def test_a_form_that_never_left_is_tried_for_as_long_as_the_code_lives(
    in_a_row: int, left: float, seed: Any
) -> None:
    decision = decide(REFUSED, in_a_row=in_a_row, seconds_left=left, by=policy(uniform=seed.uniform))
    assert isinstance(decision, RetryIn)
    assert 0.25 <= decision.seconds < left


@given(
    scale=st.floats(0.01, 1),
    gap=st.floats(0, 60),
    in_a_row=st.integers(0, 30),
    retry_after=st.none() | st.floats(0, 1e6),
    left=st.floats(-10, 3600),
    row=st.sampled_from(RETRIED),
    seed=st.randoms(use_true_random=False),
)
def test_no_retry_is_too_soon_too_late_or_against_the_gateways_wish(  # noqa: PLR0913, PLR0917 - one argument per dimension
    scale: float, gap: float, in_a_row: int, retry_after: float | None, left: float, row: Row, seed: Any
) -> None:
    scaled = RetryPolicy.of(Settings(_env_file=None, backoff_scale=scale)).backoffs
    by = policy(backoffs=scaled, gap_seconds=gap, uniform=seed.uniform)
    decision = decide(row, by=by, in_a_row=in_a_row, retry_after_seconds=retry_after, seconds_left=left)
    if isinstance(decision, RetryIn):
        assert decision.seconds < left
        if row.spends is not Spends.NOTHING:
            assert decision.seconds >= gap
        if row.action is Action.BACKOFF and decision.spends != LAST_TRY:
            assert decision.seconds >= (retry_after or 0)
            assert decision.seconds <= max(gap, by.backoffs[row.spends].bounds(99)[1] + (retry_after or 0))
    else:
        assert decision == GiveUp(Reason.AMBIGUOUS if row.kind is Kind.AMBIGUOUS else Reason.EXPIRED)


def test_retry_after_comes_before_the_jitter() -> None:
    """All the codes that met one 503 do not come back in the same instant."""
    assert delay(BUSY, by=policy(uniform=SHORTEST), retry_after_seconds=7.0) == 8.0
    assert delay(BUSY, retry_after_seconds=7.0) == 9.0


def test_a_retry_after_beyond_the_codes_life_leaves_one_last_try() -> None:
    asked: dict[str, Any] = {"retry_after_seconds": 300.0, "seconds_left": 299.0}
    assert decide(BUSY, **asked) == RetryIn(289.0, spends=LAST_TRY)
    assert decide(BUSY, rows=(LAST_TRY,), **asked) == GiveUp(Reason.EXPIRED)
    assert decide(BUSY, retry_after_seconds=30.0, seconds_left=10.0) == GiveUp(Reason.EXPIRED)


@pytest.mark.parametrize("row", [FAILED, BUSY, RESET, REFUSED], ids=lambda row: row.name)
def test_a_wait_past_the_codes_end_is_drawn_again_from_what_is_left(row: Row) -> None:
    by = policy(uniform=LONGEST)
    assert delay(row, by=by, in_a_row=30, submissions=1, seconds_left=4.0) == 3.75


@pytest.mark.parametrize(("rings", "reason"), [(0, Reason.EXPIRED), (1, Reason.AMBIGUOUS)])
def test_a_code_that_may_have_rung_does_not_die_as_merely_expired(rings: int, reason: Reason) -> None:
    assert decide(FAILED, rings=rings, seconds_left=1.0) == GiveUp(reason)


def test_the_last_submission_is_the_last() -> None:
    assert isinstance(decide(FAILED, submissions=4), RetryIn)
    assert decide(FAILED, submissions=5) == GiveUp(Reason.EXHAUSTED)
    assert decide(FAILED, submissions=5, rings=1) == GiveUp(Reason.AMBIGUOUS)


def test_a_form_that_is_always_turned_away_is_given_up_after_ten_times() -> None:
    assert isinstance(decide(BUSY, turned_away=TURNED_AWAY_AT_MOST - 1), RetryIn)
    assert decide(BUSY, turned_away=TURNED_AWAY_AT_MOST) == GiveUp(Reason.EXHAUSTED)


def test_what_never_reached_the_gateway_spends_no_submission() -> None:
    """The night of 45 s: twenty refused connections leave every submission to spend."""
    assert isinstance(decide(REFUSED, submissions=4, in_a_row=20), RetryIn)
    assert isinstance(decide(REFUSED, submissions=4, rings=1, in_a_row=20), RetryIn)


@pytest.mark.parametrize("retries", range(5))
def test_so_many_tries_may_ring_after_one_that_may_have_rung(retries: int) -> None:
    by = policy(max_rings=1 + retries, max_submissions=20)
    rings, decision = 1, decide(RESET, by=by)
    while isinstance(decision, RetryIn):
        rings += 1
        decision = decide(RESET, by=by, rings=rings, submissions=rings)
    assert (rings - 1, decision) == (retries, GiveUp(Reason.AMBIGUOUS))


def test_with_a_budget_of_none_a_lost_reply_is_never_followed_by_a_call() -> None:
    assert decide(RESET, by=policy(max_rings=1)) == GiveUp(Reason.AMBIGUOUS)


@pytest.mark.parametrize(("row", "seconds"), [(SKEW, 1.5), (TOO_OFTEN, 60.0)], ids=["40501", "4080"])
def test_a_row_with_a_delay_of_its_own_is_tried_again_so_many_times(row: Row, seconds: float) -> None:
    assert decide(row) == RetryIn(seconds, spends=row.name)
    used_up = decide(row, rows=(row.name,), submissions=2)
    assert used_up == GiveUp(Reason.EXHAUSTED)
    assert decide(row, rows=("other",), submissions=2) == RetryIn(seconds, spends=row.name)


def test_an_override_turns_a_retry_into_a_burial() -> None:
    buried = Replies({"0": {"action": "bury"}}).of_code(0, "")
    assert decide(buried) == GiveUp(Reason.EXHAUSTED)


def test_the_numbers_come_from_the_settings() -> None:
    by = RetryPolicy.of(
        Settings(
            _env_file=None,
            backoff_scale=0.5,
            ambiguous_delay_seconds=8,
            retry_gap_seconds=5,
            max_attempts=6,
            ambiguous_retries=4,
        )
    )
    assert (by.gap_seconds, by.max_submissions, by.max_rings) == (5, 6, 5)
    assert by.backoffs[Spends.RING].bounds(0) == (2, 4)
    assert by.backoffs[Spends.SUBMISSION].bounds(1) == (3, 6)
    assert by.backoffs[Spends.NOTHING].bounds(0) == (0.125, 0.375)
