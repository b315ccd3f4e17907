"""How sending comes back: one code on trial, then ten, then all, on a real Redis."""

from collections.abc import Iterator

import pytest

from config import names
from tests.support.fleet_driver import ONE, OTHER, FleetDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer, Claim
from worker.sending import State

REFUSED = "connect_refused"


@pytest.fixture
def driver(server: Server) -> Iterator[FleetDriver]:
    driver = FleetDriver(server.url)
    driver.report_all()
    yield driver
    driver.close()


def on_trial(driver: FleetDriver, row: str = REFUSED, *, forced: bool = False) -> None:
    """Stop the fleet, and let it try again: because it can, or because its time has come."""
    driver.meet(row) if row == "4051" else driver.becomes(row)
    if forced:
        driver.later(600 if row == "4051" else 60)
        driver.report_all()
    elif row == "4051":
        driver.command("unblock", config=ONE, row=row)
    else:
        driver.becomes(None)
    assert driver.sending.state is State.TRIAL


def later(driver: FleetDriver, seconds: float) -> list[str]:
    """Let time pass; every worker reports twice a second. Return the transitions."""
    made, moment = [], driver.now
    for _ in range(round(seconds * 2)):
        moment += 0.5
        driver.later(moment - driver.now)  # what the scripts took by themselves counts
        made += driver.report_all()
    return made


def test_one_code_is_on_trial_for_the_whole_fleet(driver: FleetDriver) -> None:
    on_trial(driver)
    assert [driver.ask(worker).answer for worker in ("w2", "w1", "w3")] == [
        Answer.CALL,
        Answer.PARKED,
        Answer.PARKED,
    ]


def test_one_acceptance_widens_it_to_ten_and_ten_more_to_all(driver: FleetDriver) -> None:
    on_trial(driver)
    assert driver.meet("2") == "widened"
    ten = [driver.call(("w1", "w2", "w3")[n % 3]) for n in range(10)]
    assert driver.answers(2) == ["parked"] * 2
    assert [driver.end(claim, "2").transition for claim in ten[:9]] == [""] * 9
    assert driver.sending.state is State.TRIAL
    assert driver.end(ten[9], "2").transition == "sending"
    assert driver.answers(20) == ["call"] * 20


def test_a_refusal_of_a_message_or_a_number_decides_nothing(driver: FleetDriver) -> None:
    on_trial(driver)
    assert [driver.meet(row) for row in ("4030", "406", "4085", "unknown")] == [""] * 4
    assert driver.sending.state is State.TRIAL


def test_the_failure_that_had_stopped_it_stops_it_again(driver: FleetDriver) -> None:
    on_trial(driver)
    generation = driver.sending.generation
    driver.meet(REFUSED)
    assert (driver.sending.state, driver.sending.failures) == (State.STOPPED, 1)
    assert driver.sending.generation == generation + 1


def test_another_failure_may_be_chance(driver: FleetDriver) -> None:
    on_trial(driver)
    assert [driver.meet(row) for row in ("reset", "http_503", "0")] == [""] * 3
    assert driver.meet("2") == "widened"


@pytest.mark.parametrize("row", ["reset", "http_503", "0", REFUSED])
def test_whatever_fails_in_a_trial_that_no_worker_asked_for_ends_it(driver: FleetDriver, row: str) -> None:
    on_trial(driver, forced=True)
    driver.meet(row)
    assert (driver.sending.state, driver.sending.row) == (State.STOPPED, row)


def test_an_acceptance_in_such_a_trial_counts_before_its_worker_has_said_that_it_is_fit(
    driver: FleetDriver,
) -> None:
    on_trial(driver, "0", forced=True)
    assert driver.meet("2", "w1") == "widened"
    assert driver.report("w2").transition == ""
    assert driver.becomes(None, "w1") == []
    assert driver.becomes("0", "w1") == ["stopped"], "it is an ordinary trial from now on"


def test_a_wrong_key_is_not_tried_in_a_trial_by_time_alone(driver: FleetDriver) -> None:
    """The try would make a dead letter of a code that another worker may call soon."""
    driver.workers["w3"].config = OTHER
    driver.report_all()
    driver.meet("405", "w3")
    on_trial(driver, forced=True)
    assert driver.ask("w3").answer is Answer.PARKED
    assert driver.ask("w1").answer is Answer.CALL


def test_a_trial_by_time_alone_stops_for_a_person_if_nobody_is_left_to_try(driver: FleetDriver) -> None:
    driver.workers["w3"].config = OTHER
    driver.report_all()
    driver.meet("405", "w3")
    driver.becomes(REFUSED, "w1", "w2")
    driver.later(60)
    assert driver.report("w3").transition == "trial"
    assert driver.report("w3").transition == "stopped"
    assert (driver.sending.row, driver.sending.mends) == ("405", "person")


@pytest.mark.parametrize("row", ["4052", "tls_untrusted"])
def test_one_refused_host_does_not_end_a_trial_that_a_person_began(driver: FleetDriver, row: str) -> None:
    """Else every other code would die of it until the next trial."""
    driver.command("hold")
    driver.command("resume")
    assert driver.meet(row, "w3") == ""
    assert driver.becomes(row, "w3") == []
    assert driver.meet("2", "w1") == "widened"


def test_a_refused_host_ends_a_trial_that_a_person_began_if_no_other_is_able(driver: FleetDriver) -> None:
    driver.becomes("4052")
    driver.command("resume")
    assert driver.meet("4052", "w3") == ""
    assert driver.report("w3").transition == "stopped"
    assert (driver.sending.row, driver.sending.failures) == ("4052", 1)


def test_an_acceptance_in_such_a_trial_takes_back_the_block(driver: FleetDriver) -> None:
    on_trial(driver, "4051", forced=True)
    assert driver.meet("2") == "widened"
    driver.end(driver.call(), "0")
    assert driver.sending.state is State.TRIAL, "it is an ordinary trial from now on"
    assert driver.report().blocked_by == ""


def test_a_try_whose_lease_ran_out_does_not_hold_the_trial_up(driver: FleetDriver) -> None:
    on_trial(driver)
    driver.call()
    driver.later(14.5)
    assert driver.answers(1) == ["parked"]
    driver.later(0.6)
    assert driver.answers(2) == ["call", "parked"]


def test_one_place_is_taken_however_often_the_claim_is_executed(driver: FleetDriver) -> None:
    on_trial(driver)
    assert [driver.ask(token="same", key="k").answer.value for _ in range(2)] == ["call", "call"]
    assert driver.client.zcard(f"{names.SENDING}:trial") == 1


# -- its end


def test_five_seconds_without_a_candidate_mean_sending(driver: FleetDriver) -> None:
    on_trial(driver)
    assert later(driver, 4.5) == []
    assert later(driver, 1) == ["sending"]


@pytest.mark.parametrize("count", [1, 3, 10])
def test_a_trial_with_fewer_than_eleven_codes_ends(driver: FleetDriver, count: int) -> None:
    """As after a small replay: they are called one after the other, and then nobody waits."""
    on_trial(driver)
    for _ in range(count):
        later(driver, 1)
        driver.meet("2")
    assert later(driver, 4.5) == []
    assert later(driver, 1) == ["sending"]
    assert driver.answers(20) == ["call"] * 20


def test_one_whose_only_code_is_refused_for_itself_ends(driver: FleetDriver) -> None:
    on_trial(driver)
    driver.meet("4030")
    assert later(driver, 6) == ["sending"]


def test_one_whose_worker_died_in_mid_call_ends(driver: FleetDriver) -> None:
    on_trial(driver)
    driver.call()
    assert later(driver, 16) == ["sending"]


def test_a_try_that_takes_long_keeps_it_from_ending_though_nobody_else_asks(driver: FleetDriver) -> None:
    """Else a gateway that answers the balance and hangs on forms would get all parked codes."""
    on_trial(driver)
    claim = driver.call()
    assert later(driver, 8) == []
    assert driver.end(claim, REFUSED).transition == "stopped"


@pytest.mark.parametrize("forced", [False, True])
def test_a_try_whose_lease_ran_out_does_not_keep_parked_codes_from_being_hinted(
    driver: FleetDriver, *, forced: bool
) -> None:
    """In a quiet night no new code asks, so only a hint can bring the next try."""
    on_trial(driver, forced=forced)
    driver.call()
    assert driver.ask().answer is Answer.PARKED
    assert driver.ledger.upkeep(token="first").hinted == 0
    driver.later(15.5)
    assert driver.ledger.upkeep(token="second").hinted == 1


def test_codes_that_wait_for_a_place_keep_it_from_ending(driver: FleetDriver) -> None:
    """Nobody has been called yet: the time that a try takes shows nothing."""
    on_trial(driver)
    driver.call()
    for _ in range(10):
        assert later(driver, 1) == []
        assert driver.answers(1) == ["parked"]


@pytest.mark.parametrize("row", [None, "4050", "4051", "spending_cap"])
def test_what_a_person_resumed_sends_if_nobody_asks_for_a_code(server: Server, row: str | None) -> None:
    """At night there may be no code for hours: the person's word must not expire meanwhile."""
    driver = FleetDriver(server.url, calls_per_hour=1)
    driver.report_all()
    if row is None:
        driver.command("hold")
    elif row == "spending_cap":
        driver.meet("2")
        driver.ask()
    else:
        driver.meet(row)
    driver.command("resume")
    assert later(driver, 4.5) == []
    assert later(driver, 25) == ["sending"]
    driver.close()


@pytest.mark.parametrize("row", [REFUSED, "4051"])
def test_a_trial_by_time_alone_waits_for_a_code_however_long_none_comes(
    driver: FleetDriver, row: str
) -> None:
    """No worker says that it can send: without a try nothing was shown, neither that it failed."""
    on_trial(driver, row, forced=True)
    assert later(driver, 600) == []
    assert driver.answers(2) == ["call", "parked"]
    later(driver, 15)
    assert driver.meet("2") == "widened"


# -- what stops it meanwhile


def test_a_worker_that_becomes_unfit_during_a_trial_stops_it_if_it_was_the_last(driver: FleetDriver) -> None:
    driver.becomes(REFUSED)
    driver.becomes(None, "w2")
    driver.becomes("reset", "w2")
    assert (driver.sending.state, driver.sending.failures) == (State.STOPPED, 1)


def test_an_empty_account_in_a_trial_stops_it_by_its_own_row(driver: FleetDriver) -> None:
    on_trial(driver)
    driver.meet("4051")
    assert (driver.sending.state, driver.sending.row) == (State.STOPPED, "4051")
    assert driver.ask().answer is Answer.PARKED


def test_an_empty_purse_in_a_trial_stops_it(server: Server) -> None:
    driver = FleetDriver(server.url, calls_per_hour=1)
    driver.report_all()
    on_trial(driver)
    driver.meet("2")
    claim = driver.ask()
    assert claim.answer is Answer.BURIED
    assert (driver.sending.state, driver.sending.row) == (State.STOPPED, "spending_cap")
    driver.close()


def test_a_wrong_key_in_one_worker_does_not_end_the_trial_of_the_others(driver: FleetDriver) -> None:
    """Else it would stop all for a person, and every parked code would die of it."""
    driver.workers["w3"].config = OTHER
    on_trial(driver)
    assert driver.meet("405", "w3") == "blocked"
    assert driver.sending.state is State.TRIAL
    assert driver.ask("w3").answer is Answer.PARKED
    assert driver.meet("2", "w1") == "widened"


def test_one_refusal_of_what_was_accepted_a_moment_ago_does_not_end_a_trial(driver: FleetDriver) -> None:
    driver.meet("2")
    on_trial(driver)
    assert driver.meet("4050") == ""
    assert driver.sending.state is State.TRIAL
    driver.meet("4050")
    assert (driver.sending.state, driver.sending.row) == (State.STOPPED, "4050")


def test_after_a_resume_the_second_account_carries_on_where_the_first_is_still_refused(
    driver: FleetDriver,
) -> None:
    driver.workers["w3"].config = OTHER
    driver.report_all()
    driver.meet("405", "w3")
    driver.meet("405", "w1")
    driver.command("resume")
    driver.meet("405", "w1")
    assert driver.ask("w1").answer is Answer.PARKED
    assert driver.meet("2", "w3") == "widened"


# -- failures


def failed(driver: FleetDriver, times: int) -> None:
    """Let so many trials fail."""
    for _ in range(times):
        while driver.sending.state is not State.TRIAL:
            later(driver, 1)
        driver.meet(REFUSED)


@pytest.mark.parametrize(("failures", "pause"), [(1, 6), (2, 12), (3, 24), (5, 60), (7, 60)])
def test_each_failed_trial_makes_workers_that_say_they_can_wait_longer(
    driver: FleetDriver, failures: int, pause: float
) -> None:
    """A balance query that is answered while no form is must not lead to hammering."""
    on_trial(driver)
    failed(driver, failures)
    assert driver.sending.failures == failures
    assert later(driver, pause - 1) == []
    assert later(driver, 2) == ["trial"]


def test_the_wait_after_a_failed_trial_is_measured_by_how_often_the_gateway_is_asked(server: Server) -> None:
    with server.client() as client:
        client.flushall()
    driver = FleetDriver(server.url, probe_seconds=1)
    on_trial(driver)
    failed(driver, 2)
    assert later(driver, 0.5) == []
    assert later(driver, 0.4) == ["trial"]
    driver.close()


@pytest.mark.parametrize(("failures", "cap"), [(0, 600), (1, 1200), (2, 2400), (3, 3600), (6, 3600)])
def test_each_failed_trial_doubles_the_cap_of_an_empty_account_up_to_an_hour(
    driver: FleetDriver, failures: int, cap: float
) -> None:
    driver.meet("4051")
    for _ in range(failures):
        driver.later(3600)
        driver.report_all()
        driver.meet("4051")
    assert (driver.sending.state, driver.sending.failures) == (State.STOPPED, failures)
    driver.later(cap - 1)
    assert driver.report_all() == []
    driver.later(1.5)
    assert driver.report_all() == ["trial"]


@pytest.mark.parametrize(("seconds", "failures"), [(590, 1), (601, 0)])
def test_failures_are_forgotten_after_ten_minutes_of_sending(
    driver: FleetDriver, seconds: float, failures: int
) -> None:
    on_trial(driver)
    failed(driver, 1)
    later(driver, 8)
    assert later(driver, 6)[-1:] == ["sending"]
    driver.later(seconds)
    driver.becomes(REFUSED)
    assert (driver.sending.state, driver.sending.failures) == (State.STOPPED, failures)


def test_a_persons_word_forgets_failures(driver: FleetDriver) -> None:
    on_trial(driver)
    failed(driver, 3)
    driver.command("resume")
    assert driver.sending.failures == 0


# -- a small replay


def test_a_small_replay_after_a_frozen_account_is_called_and_ends_the_trial(driver: FleetDriver) -> None:
    driver.meet("4050")
    dead: list[Claim] = [driver.ask() for _ in range(3)]
    driver.command("resume")
    for claim in dead:
        assert driver.replay(claim.key, life_seconds=300, superseded=True) == "replayed"
    for claim in dead:
        later(driver, 1)
        driver.end(driver.call(key=claim.key), "2")
    assert later(driver, 6) == ["sending"]
    assert {driver.record(claim.key).state for claim in dead} == {"accepted"}
