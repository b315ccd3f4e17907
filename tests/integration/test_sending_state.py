"""Whether the fleet sends: each transition of `worker/sending/state.lua`, on a real Redis."""

from collections.abc import Iterator

import pytest

from config import names
from tests.support.fleet_driver import ONE, OTHER, FleetDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.sending import State

REFUSED, RESET = "connect_refused", "reset"


@pytest.fixture
def driver(server: Server) -> Iterator[FleetDriver]:
    driver = FleetDriver(server.url)
    driver.report_all()
    yield driver
    driver.close()


def stopped_by(driver: FleetDriver, row: str) -> None:
    """Stop the fleet: its workers become unfit, or their configuration is blocked."""
    if row in {REFUSED, RESET, "0", "4052"}:
        driver.becomes(row)
    else:
        driver.meet(row)
    assert (driver.sending.state, driver.sending.row) == (State.STOPPED, row)


# -- 1. sending -> stopped


def test_a_fleet_without_a_record_sends(driver: FleetDriver) -> None:
    assert not driver.client.exists(names.SENDING)
    assert driver.sending.state is State.SENDING
    assert driver.ask().answer is Answer.CALL


def test_one_fit_worker_keeps_the_fleet_sending(driver: FleetDriver) -> None:
    assert driver.becomes(REFUSED, "w1", "w2") == []
    assert driver.sending.state is State.SENDING
    assert driver.ask("w1").answer is Answer.ELSEWHERE
    assert driver.ask("w3").answer is Answer.CALL


def test_it_stops_when_the_last_worker_becomes_unfit(driver: FleetDriver) -> None:
    driver.becomes(REFUSED, "w1", "w2")
    assert driver.becomes(REFUSED, "w3") == ["stopped"]
    assert (driver.sending.state, driver.sending.row, driver.sending.mends) == (
        State.STOPPED,
        REFUSED,
        "time",
    )


def test_it_stops_when_a_reply_blocks_the_only_configuration(driver: FleetDriver) -> None:
    assert driver.meet("4050") == "stopped"
    assert (driver.sending.row, driver.sending.mends) == ("4050", "person")


def test_it_stops_with_the_row_that_most_workers_have(driver: FleetDriver) -> None:
    driver.becomes(REFUSED, "w1", "w3")
    assert driver.becomes(RESET, "w2") == ["stopped"]
    assert driver.sending.row == REFUSED


def test_it_stops_for_time_where_time_can_mend_one_worker(driver: FleetDriver) -> None:
    """Two pods have a wrong key; the third one will be back, so no code has to die."""
    driver.workers["w2"].config = driver.workers["w3"].config = OTHER
    driver.report_all()
    driver.meet("405", "w3")
    assert driver.becomes(REFUSED, "w1") == ["stopped"]
    assert (driver.sending.row, driver.sending.mends) == (REFUSED, "time")


def test_it_stops_for_a_person_where_the_account_of_all_is_refused_though_one_is_also_unfit(
    driver: FleetDriver,
) -> None:
    driver.becomes(REFUSED, "w1", "w2")
    assert driver.meet("4050", "w3") == "stopped"
    assert (driver.sending.row, driver.sending.mends) == ("4050", "person")


def test_a_worker_that_was_not_heard_of_for_six_seconds_keeps_nobody_sending(driver: FleetDriver) -> None:
    driver.becomes(REFUSED, "w1", "w2")
    driver.later(5.5)
    assert driver.report("w1").transition == ""
    driver.later(0.6)
    assert driver.report("w1").transition == "stopped"


def test_without_any_worker_nothing_is_decided(driver: FleetDriver) -> None:
    driver.client.delete(f"{names.SENDING}:fleet")
    assert driver.meet("4050") == "blocked"
    assert driver.sending.state is State.SENDING
    assert driver.report().transition == "stopped"


@pytest.mark.parametrize("row", ["4050", "4051", REFUSED])
def test_a_transition_happens_once_however_many_workers_report(driver: FleetDriver, row: str) -> None:
    """Its generation rises by one, and its line is written once."""
    calls = [driver.call(worker) for worker in driver.workers]
    made = [
        driver.end(claim, row, worker).transition for claim, worker in zip(calls, driver.workers, strict=True)
    ]
    made += driver.becomes(row) if row == REFUSED else []
    made += driver.report_all() + driver.report_all()
    assert [one for one in made if one] == ["stopped"]
    assert driver.sending.generation == 1
    assert driver.audit == [("stopped", "workers")]


def test_every_transition_raises_the_generation_by_one_and_is_audited(driver: FleetDriver) -> None:
    seen = [driver.sending.generation]
    for step in (
        lambda: driver.becomes(REFUSED),
        lambda: driver.becomes(None),
        lambda: driver.command("hold"),
        lambda: driver.command("resume"),
        lambda: [driver.meet("2") for _ in range(11)],
    ):
        step()
        seen.append(driver.sending.generation)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert driver.audit == [
        ("stopped", "workers"),
        ("trial", "workers"),
        ("held", "ops"),
        ("trial", "ops"),
        ("sending", "workers"),
    ]


@pytest.mark.parametrize(
    ("row", "answer", "count"), [("4050", Answer.BURIED, "refused"), ("4051", Answer.PARKED, "parked")]
)
def test_while_it_is_stopped_a_code_is_parked_or_dead_by_who_can_mend_it(
    driver: FleetDriver, row: str, answer: Answer, count: str
) -> None:
    stopped_by(driver, row)
    claims = [driver.ask(worker) for worker in driver.workers]
    assert {claim.answer for claim in claims} == {answer}
    assert getattr(driver.sending, count) == 3
    record = driver.record(claims[0].key)
    assert (record.state, record.attempts) == ("dead" if answer is Answer.BURIED else "waiting", ())


def test_while_it_is_stopped_every_worker_fetches(driver: FleetDriver) -> None:
    """A code must be recorded, and dead or parked, within a second of its enqueue."""
    stopped_by(driver, "4050")
    assert [driver.report(worker).fetch for worker in driver.workers] == [True] * 3


# -- 2. stopped -> trial


@pytest.mark.parametrize("row", [REFUSED, RESET, "4052"])
def test_one_worker_that_is_fit_again_begins_the_trial(driver: FleetDriver, row: str) -> None:
    stopped_by(driver, row)
    assert driver.becomes(None, "w2") == ["trial"]
    assert driver.ask("w1").answer is Answer.PARKED
    assert driver.ask("w2").answer is Answer.CALL


@pytest.mark.parametrize(
    ("row", "cap"), [(REFUSED, 60), (RESET, 60), ("http_5xx", 60), ("0", 15), ("4051", 600)]
)
def test_time_alone_begins_a_trial_at_the_cap(driver: FleetDriver, row: str, cap: float) -> None:
    driver.becomes(row) if row != "4051" else driver.meet(row)
    driver.later(cap - 0.5)
    assert driver.report_all() == []
    driver.later(0.6)
    assert driver.report_all() == ["trial"]
    assert driver.ask("w3").answer is Answer.CALL


@pytest.mark.parametrize("row", ["4050", "405", "4052", "http_4xx"])
def test_what_a_person_must_mend_is_not_tried_by_time(driver: FleetDriver, row: str) -> None:
    stopped_by(driver, row)
    for _ in range(4):
        driver.later(86_400)
        assert driver.report_all() == []
    assert driver.ask().answer is Answer.BURIED


def test_a_new_configuration_begins_the_trial(driver: FleetDriver) -> None:
    stopped_by(driver, "405")
    driver.workers["w2"].config = OTHER
    assert driver.report("w2").transition == "trial"


def test_a_purse_is_not_lifted_by_workers_that_are_able(server: Server) -> None:
    driver = FleetDriver(server.url, calls_per_hour=2)
    driver.report_all()
    driver.meet("2")
    driver.meet("2")
    claim = driver.ask()
    assert (claim.answer, claim.transition) == (Answer.BURIED, "stopped")
    assert (driver.sending.row, driver.sending.mends) == ("spending_cap", "person")
    driver.later(86_400)
    assert driver.report_all() == []
    assert driver.command("resume") == "trial"
    assert driver.ask().answer is Answer.CALL
    driver.close()


def test_a_balance_takes_back_the_block_that_it_explains_and_no_other(driver: FleetDriver) -> None:
    stopped_by(driver, "4051")
    assert driver.command("unblock", config=ONE, row="4050") == ""
    assert driver.command("unblock", config=ONE, row="4051") == "trial"
    assert driver.command("unblock", config=ONE, row="4051") == ""


# -- 5. held


@pytest.mark.parametrize("row", [None, "4050", "4051", REFUSED])
def test_a_hold_beats_every_timer_and_every_reply(driver: FleetDriver, row: str | None) -> None:
    late = [driver.call() for _ in range(3)]
    if row is not None:
        stopped_by(driver, row)
    assert driver.command("hold") == "held"
    generation = driver.sending.generation
    assert [
        driver.end(claim, end).transition for claim, end in zip(late, ["2", "4050", "0"], strict=True)
    ] == [""] * 3
    driver.becomes(None)
    driver.becomes(REFUSED)
    driver.later(86_400)
    assert driver.report_all() == []
    assert driver.command("unblock", config=ONE, row="4051") == ""
    assert (driver.sending.state, driver.sending.generation) == (State.HELD, generation)
    assert driver.ask().answer is Answer.PARKED


def test_a_hold_is_said_once_and_keeps_its_note(driver: FleetDriver) -> None:
    assert [driver.command("hold", note="provider's maintenance") for _ in range(2)] == ["held", ""]
    assert (driver.sending.note, driver.sending.by) == ("provider's maintenance", "ops")
    assert driver.audit == [("held", "ops")]


@pytest.mark.parametrize("row", [None, "4050", "4051", REFUSED])
def test_a_person_resumes_whatever_had_stopped_it(driver: FleetDriver, row: str | None) -> None:
    if row is not None:
        stopped_by(driver, row)
    driver.command("hold")
    assert driver.command("resume") == "trial"
    assert driver.ask().answer is Answer.CALL


def test_a_person_lets_one_refused_account_try_again_while_another_sends(driver: FleetDriver) -> None:
    """The provider has unfrozen the first account: no new key tells the fleet so."""
    driver.workers["w3"].config, driver.workers["w3"].standby = OTHER, True
    driver.report_all()
    driver.meet("4050", "w1")
    assert not driver.report("w1").fetch
    assert driver.command("resume", token="once") == "unblocked"
    assert driver.command("resume", token="once") == "unblocked"
    assert driver.command("resume") == ""
    assert driver.report("w1").fetch
    assert not driver.report("w3").fetch
    assert driver.audit == [("unblocked", "ops")]
    assert (driver.sending.state, driver.sending.generation) == (State.SENDING, 0)


def test_nothing_is_resumed_while_the_fleet_sends(driver: FleetDriver) -> None:
    assert driver.command("resume") == ""
    assert driver.audit == []


# -- a record that is gone


@pytest.mark.parametrize("row", ["4050", REFUSED])
def test_a_record_that_is_gone_means_sending_until_a_worker_reports(driver: FleetDriver, row: str) -> None:
    stopped_by(driver, row)
    driver.client.delete(names.SENDING)
    assert driver.sending.state is State.SENDING
    assert driver.report_all() == ["stopped"]
    assert driver.sending.row == row


def test_when_everything_is_gone_the_fleet_sends(driver: FleetDriver) -> None:
    stopped_by(driver, "4050")
    driver.client.flushall()
    driver.report_all()
    assert driver.ask().answer is Answer.CALL


# -- configurations


def test_one_accepted_within_the_last_minute_is_blocked_at_the_second_refusal(driver: FleetDriver) -> None:
    first, second = driver.call(), driver.call()
    driver.meet("2")
    driver.later(59)
    driver.report_all()
    assert driver.end(first, "405").transition == ""
    assert driver.ask().answer is Answer.CALL
    assert driver.end(second, "405").transition == "stopped"


def test_one_accepted_a_minute_ago_is_blocked_at_the_first_refusal(driver: FleetDriver) -> None:
    driver.meet("2")
    driver.later(60.5)
    driver.report_all()
    assert driver.meet("405") == "stopped"


def test_an_acceptance_between_two_refusals_forgives_the_first(driver: FleetDriver) -> None:
    driver.meet("2")
    assert driver.meet("405") == ""
    driver.later(11)
    driver.report_all()
    driver.meet("2")
    assert driver.meet("405") == ""
    assert driver.meet("405") == "stopped"


def test_a_wrong_key_in_one_worker_blocks_only_itself(driver: FleetDriver) -> None:
    driver.workers["w3"].config = OTHER
    driver.report_all()
    assert driver.meet("405", "w3") == "blocked"
    assert [driver.report(worker).fetch for worker in driver.workers] == [True, True, False]
    assert driver.ask("w3").answer is Answer.ELSEWHERE
    assert driver.ask("w1").answer is Answer.CALL


def test_a_standby_worker_fetches_only_while_no_other_can_send(driver: FleetDriver) -> None:
    driver.workers["w3"].config, driver.workers["w3"].standby = OTHER, True
    driver.report_all()
    assert not driver.report("w3").fetch
    assert driver.meet("4050") == "blocked"
    assert driver.report("w3").fetch
    assert not driver.report("w1").fetch
    assert driver.meet("2", "w3") == ""
    assert driver.sending.state is State.SENDING


# -- results of an older generation


@pytest.mark.parametrize("row", ["4050", "0", REFUSED, RESET])
def test_a_late_refusal_of_an_older_generation_changes_nothing(driver: FleetDriver, row: str) -> None:
    late = driver.call("w1")
    driver.becomes(REFUSED)
    driver.becomes(None)
    driver.call("w2")
    before = driver.sending
    assert driver.end(late, row).transition == ""
    assert driver.sending == before
    assert driver.answers(1, "w3") == ["parked"], "the place in the trial is still taken"


def test_a_late_acceptance_stands_and_does_not_widen_the_trial(driver: FleetDriver) -> None:
    late = driver.call("w1")
    driver.becomes(REFUSED)
    driver.becomes(None)
    driver.call("w2")
    finished = driver.end(late, "2")
    assert (finished.recorded.value, finished.transition) == ("accepted", "")
    assert driver.answers(1, "w3") == ["parked"]


# -- a fail-over to a server whose clock is behind


@pytest.mark.parametrize("row", [REFUSED, "4051"])
def test_a_stop_from_the_future_gets_its_trial_all_the_same(driver: FleetDriver, row: str) -> None:
    stopped_by(driver, row)
    driver.later(-7200)
    assert driver.report_all() == ["trial"]


def test_a_worker_that_was_last_heard_of_in_the_future_keeps_nobody_sending(driver: FleetDriver) -> None:
    driver.later(-7200)
    assert driver.becomes(REFUSED, "w1") == ["stopped"]


def test_retries_do_not_wait_for_the_clock_to_catch_up(driver: FleetDriver) -> None:
    driver.becomes(REFUSED)
    driver.becomes(None)
    for _ in range(11):
        driver.meet("2")
    driver.later(-7200)
    driver.end(driver.call(), REFUSED)
    driver.later(10)
    assert driver.ledger.upkeep(token="t").hinted == 1


# -- deaths


def test_a_death_in_mid_call_counts_once_however_often_its_code_is_handed_on(driver: FleetDriver) -> None:
    """A worker that cannot send looks at it first, and leaves it to another one."""
    driver.call("w1", "k")
    driver.later(16)
    driver.report("w3")
    driver.becomes(REFUSED, "w2")
    assert [driver.ask("w2", "k").answer for _ in range(3)] == [Answer.ELSEWHERE] * 3
    assert driver.record("k").ambiguous == 1
    assert driver.ask("w3", "k").answer is Answer.CALL
