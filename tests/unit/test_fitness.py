"""What a worker's own tries say about the worker: each rule of `worker/sending/fitness.py`."""

from collections.abc import Iterable

import pytest

from config.replies import Replies, Row, Symptom
from worker.sending.fitness import FAILURES, FAILURES_ON_PROBATION, NUMBERS, Fitness, observe, recovered

REPLIES = Replies()
ACCEPTED, ZERO = REPLIES.of_code(2, ""), REPLIES.of_code(0, "")
REFUSED_HOST = REPLIES.of_code(4052, "")
CLOCK_SKEW = REPLIES.of_code(40501, "")
UNREACHABLE, RESET = REPLIES.of_symptom(Symptom.CONNECT_REFUSED), REPLIES.of_symptom(Symptom.RESET)
ALL_NUMBERS = [f"1380000000{number}" for number in range(NUMBERS)]


def after(tries: Iterable[Row | tuple[Row, str]], before: Fitness | None = None, **more: int) -> Fitness:
    """Return what is known after these tries; a row alone means one and the same number."""
    fitness = before or Fitness()
    for one in tries:
        row, number = one if isinstance(one, tuple) else (one, ALL_NUMBERS[0])
        fitness = observe(fitness, row, number, **more)
    return fitness


def zeros(count: int, numbers: int) -> list[Row | tuple[Row, str]]:
    return [(ZERO, ALL_NUMBERS[n % numbers]) for n in range(count)]


def test_a_worker_starts_fit() -> None:
    assert Fitness().unfit is None


@pytest.mark.parametrize("row", [UNREACHABLE, RESET, REPLIES.of_symptom(Symptom.HTTP_503)])
def test_twenty_tries_without_a_readable_reply_make_it_unfit_and_nineteen_do_not(row: Row) -> None:
    assert after([row] * (FAILURES - 1)).unfit is None
    assert after([row] * FAILURES).unfit is row


def test_the_latest_of_different_failures_is_the_row() -> None:
    assert after([UNREACHABLE] * 10 + [RESET] * 10).unfit is RESET


@pytest.mark.parametrize("answer", [ACCEPTED, REPLIES.of_code(4030, ""), REPLIES.of_code(4050, "")])
def test_one_readable_reply_begins_the_count_anew(answer: Row) -> None:
    assert after([UNREACHABLE] * 19 + [answer] + [UNREACHABLE] * 19).unfit is None


def test_twenty_zeros_to_five_numbers_make_it_unfit() -> None:
    assert after(zeros(20, NUMBERS)).unfit is ZERO
    assert after(zeros(19, NUMBERS)).unfit is None


def test_zeros_to_four_numbers_say_something_about_the_numbers() -> None:
    four = after(zeros(200, NUMBERS - 1))
    assert four.unfit is None
    assert after([(ZERO, ALL_NUMBERS[-1])], four).unfit is ZERO


def test_zeros_and_unreadable_replies_are_two_runs() -> None:
    """A zero is a readable reply, and says nothing about the way to the gateway."""
    assert after([*[UNREACHABLE] * 19, *zeros(19, NUMBERS), *[UNREACHABLE] * 19]).unfit is None


@pytest.mark.parametrize(
    "row", [REFUSED_HOST, REPLIES.of_code(400, ""), REPLIES.of_symptom(Symptom.TLS_UNTRUSTED)]
)
def test_the_first_reply_that_refuses_this_host_makes_it_unfit(row: Row) -> None:
    assert after([row]).unfit is row
    assert after([row], unfit_after=0).unfit is row


def test_a_clock_that_is_off_shows_at_the_second_reply_in_a_row() -> None:
    assert after([CLOCK_SKEW]).unfit is None
    assert after([CLOCK_SKEW, ACCEPTED, CLOCK_SKEW]).unfit is None
    assert after([CLOCK_SKEW, CLOCK_SKEW]).unfit is CLOCK_SKEW


@pytest.mark.parametrize("symptom", [Symptom.HTTP_3XX, Symptom.HTTP_4XX])
def test_a_wrong_address_is_the_configurations_fault(symptom: Symptom) -> None:
    assert after([REPLIES.of_symptom(symptom)] * 100) == Fitness()


def test_with_no_limit_only_a_refused_host_is_unfit() -> None:
    assert after([*[UNREACHABLE] * 100, *zeros(100, NUMBERS)], unfit_after=0).unfit is None


def test_a_limit_below_five_needs_as_many_numbers() -> None:
    assert after(zeros(2, 2), unfit_after=2).unfit is ZERO
    assert after(zeros(10, 1), unfit_after=2).unfit is None


def test_the_first_readable_reply_makes_it_fit_again() -> None:
    unfit = after([UNREACHABLE] * FAILURES)
    assert after([ACCEPTED], unfit).unfit is None


def test_an_unfit_worker_stays_so_whatever_else_fails() -> None:
    unfit = after([REFUSED_HOST])
    assert after([*[UNREACHABLE] * 3, *zeros(3, 3)], unfit).unfit is REFUSED_HOST


def test_once_recovered_five_failures_make_it_unfit_again_and_four_do_not() -> None:
    tries_again = recovered(after([UNREACHABLE] * FAILURES))
    assert (tries_again.unfit, tries_again.on_probation) == (None, True)
    assert after([UNREACHABLE] * (FAILURES_ON_PROBATION - 1), tries_again).unfit is None
    assert after([UNREACHABLE] * FAILURES_ON_PROBATION, tries_again).unfit is UNREACHABLE


def test_recovery_by_a_reply_is_on_probation_too() -> None:
    answered = after([ACCEPTED], after([UNREACHABLE] * FAILURES))
    assert after([UNREACHABLE] * FAILURES_ON_PROBATION, answered).unfit is UNREACHABLE


def test_probation_ends_with_twenty_answers_in_a_row_and_not_with_nineteen() -> None:
    tries_again = recovered(after([UNREACHABLE] * FAILURES))
    five = [UNREACHABLE] * FAILURES_ON_PROBATION
    assert after([ACCEPTED] * 19 + five, tries_again).unfit is UNREACHABLE
    assert after([ACCEPTED] * 20 + five, tries_again).unfit is None
    interrupted = [ACCEPTED] * 19 + [RESET] + [ACCEPTED] * 19
    assert after(interrupted + five, tries_again).unfit is UNREACHABLE


def test_recovering_a_fit_worker_leaves_it_without_probation() -> None:
    assert recovered(Fitness(failures=3)) == Fitness()
