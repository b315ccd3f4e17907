"""What the log says of the fleet: one line a move, one page an incident, whoever dies meanwhile."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from config import names
from config.replies import Row
from tests.support.fleet_driver import OTHER, FleetDriver, row_of
from worker.embedded.server import Server
from worker.sending import Fleet
from worker.sending.state import State
from worker.sending.verdict import Tell
from worker.store.availability import RedisAvailability

REFUSED = "connect_refused"


class NoCredit:
    """What a worker would pause."""

    most: int | None = None

    def pause(self) -> None:
        """Do nothing."""

    def unpause(self) -> None:
        """Do nothing."""

    def at_most(self, slots: int | None) -> None:
        self.most = slots


@pytest.fixture
def driver(server: Server) -> Iterator[FleetDriver]:
    driver = FleetDriver(server.url)
    driver.report_all()
    yield driver
    driver.close()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def started(driver: FleetDriver, name: str) -> Fleet:
    """Return a worker as it runs."""
    availability = RedisAvailability(0, time.monotonic)
    return Fleet(driver.client, driver.settings, availability, NoCredit(), instance=name, host=name, facts={})


def fleet_of(driver: FleetDriver, *names_: str) -> list[Fleet]:
    """Return workers as they run, and let those of the driver be forgotten."""
    driver.client.delete(f"{names.SENDING}:fleet")
    fleets = [started(driver, name) for name in names_]
    for fleet in fleets:
        fleet.report()
    return fleets


def fails(fleet: Fleet, row: Row, times: int = 20) -> None:
    for _ in range(times):
        fleet.observe(row, "13800138000")


def said(lines: list[Any]) -> list[tuple[str, str]]:
    """Return event and alert of each line about the fleet."""
    return [(line["event"], line.get("alert", "")) for line in lines if line["event"].startswith("sending.")]


def test_one_worker_writes_the_line_of_a_move(driver: FleetDriver) -> None:
    driver.meet("4050")
    assert [driver.report(worker).tell for worker in ("w2", "w1", "w3")] == [
        Tell.PAGE,
        Tell.NOTHING,
        Tell.NOTHING,
    ]


def test_a_worker_is_asked_until_it_says_that_it_wrote_the_line(driver: FleetDriver) -> None:
    """The answer that asked for it may be lost."""
    driver.meet("4050")
    assert [driver.report("w2").tell for _ in range(2)] == [Tell.PAGE] * 2
    since = driver.sending.since or 0
    assert driver.report("w2", told=since, paged=since).tell is Tell.NOTHING
    assert driver.report("w3").tell is Tell.NOTHING


def test_another_worker_writes_it_where_that_one_has_died(driver: FleetDriver) -> None:
    driver.meet("4050")
    driver.report("w2")
    assert 0 < driver.client.pttl(f"{names.SENDING}:teller") <= 10_000
    driver.client.delete(f"{names.SENDING}:teller")  # as if its time were over
    assert driver.report("w3").tell is Tell.PAGE


def test_an_incident_pages_once_however_many_trials_fail(driver: FleetDriver) -> None:
    driver.becomes(REFUSED)
    heard: list[Tell] = []
    first: float | None = None
    for generation in itertools.count(1):
        driver.client.delete(f"{names.SENDING}:teller")
        heard.append(driver.report("w1").tell)
        first = first or driver.sending.since
        driver.report("w1", told=driver.sending.since or 0, paged=first or 0)
        if len(heard) == 6:
            break
        if generation % 2:
            driver.later(120)
            driver.report_all()
        else:
            driver.meet(REFUSED)
    assert heard == [Tell.PAGE, *[Tell.MOVE] * 5]


def test_a_page_that_nobody_wrote_is_still_due_when_the_trial_has_failed(driver: FleetDriver) -> None:
    driver.becomes(REFUSED)
    driver.becomes(None)
    driver.report("w1", told=driver.sending.since or 0)
    driver.meet(REFUSED)
    assert driver.report("w1").tell is Tell.PAGE


def test_what_a_worker_knows_of_a_record_that_is_gone_counts_for_nothing(driver: FleetDriver) -> None:
    driver.meet("4050")
    before = driver.sending.since or 0
    driver.report("w1", told=before, paged=before)
    driver.client.delete(names.SENDING, f"{names.SENDING}:teller")
    driver.later(1)
    assert driver.report("w1", told=before, paged=before).tell is Tell.PAGE
    assert driver.sending.generation == 1


def test_a_report_that_was_begun_before_does_not_undo_a_newer_one(
    driver: FleetDriver, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads report. The first has read that the worker is fit, and is held up."""
    (fleet,) = fleet_of(driver, "w1")
    script, begun, refused = fleet._script, threading.Event(), threading.Event()

    def held_up(*args: Any, **arguments: Any) -> Any:
        if not begun.is_set():
            begun.set()
            refused.wait(0.3)
        return script(*args, **arguments)

    monkeypatch.setattr(fleet, "_script", held_up)
    periodic = threading.Thread(target=fleet.report)
    periodic.start()
    begun.wait()
    fails(fleet, row_of("400"), times=1)
    refused.set()
    periodic.join()
    assert driver.sending.state is State.STOPPED
    assert said(lines) == [("sending.stopped", "page")]


def test_a_stop_and_its_end_have_a_line_each_and_a_failed_trial_does_not_page(
    driver: FleetDriver, lines: list[Any]
) -> None:
    one, two = fleet_of(driver, "one", "two")
    fails(one, row_of(REFUSED))
    fails(two, row_of("reset"))
    one.report()
    one.recover()
    fails(one, row_of(REFUSED), 5)
    driver.command("resume")
    two.report()
    one.report()
    two.recover()
    driver.workers["w1"].config = one.config
    for _ in range(11):
        driver.meet("2")
    two.report()
    one.report()
    assert said(lines) == [
        ("sending.stopped", "page"),
        ("sending.trial", ""),
        ("sending.stopped", "warn"),
        ("sending.trial", ""),
        ("sending.resumed", ""),
    ]


def test_after_its_end_the_next_stop_is_an_incident_of_its_own(driver: FleetDriver, lines: list[Any]) -> None:
    (one,) = fleet_of(driver, "one")
    driver.workers["w1"].config = one.config
    for _ in range(2):
        fails(one, row_of(REFUSED))
        one.recover()
        for _ in range(11):
            driver.meet("2")
        one.report()
    pages = [event for event, alert in said(lines) if alert == "page"]
    assert pages == ["sending.stopped"] * 2


def test_a_refused_host_pages_once_however_often_it_tries_for_itself(
    driver: FleetDriver, lines: list[Any]
) -> None:
    """It does so each fifteen seconds while the others send."""
    one, _ = fleet_of(driver, "one", "two")
    for row in ("4052", "4052", "4052", "400"):
        fails(one, row_of(row), 1)
        one.recover()
    unfit = [(line["row"], line["alert"]) for line in lines if line["event"] == "worker.unfit"]
    assert unfit == [("4052", "page"), ("4052", "warn"), ("4052", "warn"), ("400", "page")]


def test_a_refused_host_pages_again_after_it_was_well(driver: FleetDriver, lines: list[Any]) -> None:
    one, _ = fleet_of(driver, "one", "two")
    for _ in range(2):
        fails(one, row_of("4052"), 1)
        one.recover()
        fails(one, row_of("2"), 20)
    alerts = [line["alert"] for line in lines if line["event"] == "worker.unfit"]
    assert alerts == ["page", "page"]


def test_a_worker_tries_one_code_at_a_time_for_itself_while_others_send(driver: FleetDriver) -> None:
    """All its slots at once would hang in a gateway that only its own host cannot reach."""
    one, _ = fleet_of(driver, "one", "two")
    credit = one._credit
    assert isinstance(credit, NoCredit)
    fails(one, row_of("read_timeout"))
    one.recover()
    assert credit.most == 1
    fails(one, row_of("read_timeout"), 4)
    one.report()
    assert credit.most == 1
    one.observe(row_of("2"), "13800138000")
    assert credit.most is None
    one.report()
    assert credit.most is None


def test_a_worker_that_returns_with_the_fleet_has_all_its_slots(driver: FleetDriver) -> None:
    """The trial says how many are called."""
    (one,) = fleet_of(driver, "one")
    credit = one._credit
    assert isinstance(credit, NoCredit)
    fails(one, row_of(REFUSED))
    one.recover()
    assert (driver.sending.state.value, credit.most) == ("trial", None)


def test_a_persons_word_has_a_line_too(driver: FleetDriver, lines: list[Any]) -> None:
    one, two = fleet_of(driver, "one", "two")
    driver.command("hold", who="ops")
    two.report()
    one.report()
    driver.command("resume", who="ops")
    one.report()
    two.report()
    assert [(line["event"], line.get("by")) for line in lines] == [
        ("sending.held", "ops"),
        ("sending.trial", None),
    ]


def blocks(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["row"], line["alert"]) for line in lines if line["event"] == "configuration.blocked"]


def test_one_refused_account_of_two_pages_once_whoever_dies_meanwhile(
    driver: FleetDriver, lines: list[Any]
) -> None:
    """The answer that told of the block may be lost; a worker that starts anew says so again."""
    one, same = fleet_of(driver, "one", "two")
    driver.workers["w1"].config, driver.workers["w2"].config = one.config, OTHER
    driver.report("w2")
    assert driver.meet("405", "w1") == "blocked"
    for fleet in (same, one, same):
        driver.report("w2")
        fleet.report()
    started(driver, "three").report()
    assert blocks(lines) == [("405", "page"), ("405", "warn"), ("405", "warn")]


def test_a_refused_account_pages_again_after_it_was_mended(driver: FleetDriver, lines: list[Any]) -> None:
    (one,) = fleet_of(driver, "one")
    driver.workers["w1"].config, driver.workers["w2"].config = one.config, OTHER
    for _ in range(2):
        driver.report("w2")
        driver.meet("405", "w1")
        one.report()
        assert driver.command("resume") == "unblocked"
        one.report()
    assert blocks(lines) == [("405", "page")] * 2


def test_what_a_reply_did_is_written_at_once_by_the_worker_that_met_it(
    driver: FleetDriver, lines: list[Any]
) -> None:
    (one,) = fleet_of(driver, "one")
    driver.workers["w1"].config = one.config
    transition = driver.meet("4050")
    one.heard(row_of("4050"), "13800138000", transition)
    assert said(lines) == [("sending.stopped", "page")]
