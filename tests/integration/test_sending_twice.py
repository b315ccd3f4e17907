"""What changes the fleet, executed twice: the second time it changes nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import names
from tests.support.fleet_driver import ONE, OTHER, FleetDriver
from tests.support.ledger_compare import DUMP
from worker.embedded.server import Server

REFUSED = "connect_refused"
MOMENTS = {"until", "active_at"}
"""Fields that say when something was looked at last."""
Call = Callable[[], Any]


@pytest.fixture
def driver(server: Server) -> Iterator[FleetDriver]:
    driver = FleetDriver(server.url, calls_per_hour=3)
    driver.report_all()
    yield driver
    driver.close()


def report_that_stops(driver: FleetDriver) -> Call:
    driver.becomes(REFUSED, "w2", "w3")
    return lambda: driver.becomes(REFUSED, "w1")


def report_that_begins_a_trial(driver: FleetDriver) -> Call:
    driver.becomes(REFUSED)
    return lambda: driver.becomes(None, "w1")


def report_that_begins_a_trial_by_time(driver: FleetDriver) -> Call:
    driver.becomes(REFUSED)
    driver.later(61)
    return driver.report


def report_that_ends_a_trial(driver: FleetDriver) -> Call:
    driver.command("hold")
    driver.command("resume")
    driver.later(5.5)
    return driver.report


def hold(driver: FleetDriver) -> Call:
    return lambda: driver.command("hold", token="once")


def resume(driver: FleetDriver) -> Call:
    driver.meet("4050")
    return lambda: driver.command("resume", token="once")


def resume_of_a_trial_by_time(driver: FleetDriver) -> Call:
    driver.meet("4051")
    driver.later(601)
    driver.report()
    return lambda: driver.command("resume", token="once")


def unblock(driver: FleetDriver) -> Call:
    driver.meet("4051")
    return lambda: driver.command("unblock", config=ONE, row="4051", token="once")


def claim(driver: FleetDriver) -> Call:
    return lambda: driver.ask(key="k", token="once").answer


def claim_that_stops_by_the_purse(driver: FleetDriver) -> Call:
    for _ in range(3):
        driver.meet("2")
    return claim(driver)


def claim_that_is_refused(driver: FleetDriver) -> Call:
    driver.meet("4050")
    return claim(driver)


def claim_that_is_parked(driver: FleetDriver) -> Call:
    driver.meet("4051")
    return claim(driver)


def claim_on_trial(driver: FleetDriver) -> Call:
    report_that_begins_a_trial(driver)()
    return claim(driver)


def claim_without_a_place_in_the_trial(driver: FleetDriver) -> Call:
    report_that_begins_a_trial(driver)()
    driver.call()
    return claim(driver)


def claim_elsewhere(driver: FleetDriver) -> Call:
    driver.becomes(REFUSED, "w1")
    return claim(driver)


def finish_of(row: str, name: str = "w1") -> Callable[[FleetDriver], Call]:
    def prepare(driver: FleetDriver) -> Call:
        made = driver.call(name)
        return lambda: driver.end(made, row, name)

    return prepare


def finish_on_trial(row: str) -> Callable[[FleetDriver], Call]:
    def prepare(driver: FleetDriver) -> Call:
        report_that_begins_a_trial(driver)()
        return finish_of(row)(driver)

    return prepare


def finish_that_blocks_one_of_two(driver: FleetDriver) -> Call:
    driver.workers["w3"].config = OTHER
    driver.report("w3")
    return finish_of("405", "w3")(driver)


def finish_that_ends_a_trial(driver: FleetDriver) -> Call:
    driver.command("hold")
    driver.command("resume")
    made = driver.call()
    driver.client.hset(names.SENDING, mapping={"width": 10, "accepted": 10})
    return lambda: driver.end(made, "2")


CALLS: dict[str, Callable[[FleetDriver], Call]] = {
    "report that stops": report_that_stops,
    "report that begins a trial": report_that_begins_a_trial,
    "report that begins a trial by time": report_that_begins_a_trial_by_time,
    "report that ends a trial": report_that_ends_a_trial,
    "hold": hold,
    "resume": resume,
    "resume of a trial by time": resume_of_a_trial_by_time,
    "unblock": unblock,
    "claim that stops by the purse": claim_that_stops_by_the_purse,
    "claim that is refused": claim_that_is_refused,
    "claim that is parked": claim_that_is_parked,
    "claim on trial": claim_on_trial,
    "claim without a place in the trial": claim_without_a_place_in_the_trial,
    "claim elsewhere": claim_elsewhere,
    "finish that blocks and stops": finish_of("4050"),
    "finish that blocks one of two": finish_that_blocks_one_of_two,
    "finish that gives a call back": finish_of(REFUSED),
    "finish that widens a trial": finish_on_trial("2"),
    "finish that fails a trial": finish_on_trial(REFUSED),
    "finish that says nothing in a trial": finish_on_trial("4030"),
    "finish that ends a trial": finish_that_ends_a_trial,
}


def stored(driver: FleetDriver) -> dict[str, Any]:
    """Return all that stands in Redis, but for the moments at which it was looked at."""
    found: dict[str, Any] = {}
    for name, _ttl, value in json.loads(driver.client.eval(DUMP, 0)):
        if name == f"{names.SENDING}:fleet":
            continue
        found[name] = value[::2] if name == names.DUE else value
        if name == names.SENDING or name.startswith(names.RECORD_PREFIX):
            fields = dict(zip(value[::2], value[1::2], strict=True))
            found[name] = {field: text for field, text in fields.items() if field not in MOMENTS}
    return found


@pytest.mark.parametrize("which", CALLS)
def test_executed_twice_it_changes_nothing_the_second_time(driver: FleetDriver, which: str) -> None:
    call = CALLS[which](driver)
    before = stored(driver)
    answer = call()
    once = stored(driver)
    assert once != before
    again = call()
    assert stored(driver) == once
    if "hold" in which or "resume" in which or "unblock" in which or "claim" in which:
        assert again == answer
