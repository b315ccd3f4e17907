"""A producer withdraws a code, in each state in which the code may be."""

from collections.abc import Iterator
from typing import Any

import pytest
from voicecode_client import Client, Duplicate, Sent

from config import names
from tests.integration.test_cli import objects, run
from tests.support.ledger_driver import MOBILE, LedgerDriver
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import Server
from worker.ledger.cancel import Cancelled
from worker.ledger.claim import Answer


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def texts(client: Any) -> str:
    return str([client.hgetall(name) for name in client.keys(names.RECORD_PREFIX + "*")])


def test_a_code_that_waits_is_cancelled_and_no_dead_letter(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    assert driver.ledger.cancel("k") is Cancelled.WAITING
    assert (driver.state(), driver.due(), driver.indexes()) == ("cancelled", None, set())
    assert 0 < driver.ttl() <= driver.settings.accepted_ttl_seconds
    assert MOBILE not in texts(driver.client)
    driver.later(60)
    assert driver.upkeep().hinted == 0
    assert driver.resume().answer is Answer.CANCELLED
    assert driver.claim().answer is Answer.CANCELLED
    assert driver.ledger.cancel("k") is Cancelled.CANCELLED


def test_a_cancel_that_comes_before_its_code_awaits_it(driver: LedgerDriver) -> None:
    assert driver.ledger.cancel("k") is Cancelled.NONE
    assert driver.claim().answer is Answer.CANCELLED
    assert driver.claim(code=driver.code("k", "9999")).answer is Answer.CANCELLED
    assert driver.state() == "cancelled"
    assert 0 < driver.ttl() <= driver.settings.accepted_ttl_seconds


def test_a_call_under_way_goes_on_and_may_be_accepted(driver: LedgerDriver) -> None:
    claim = driver.in_state("calling")
    assert driver.ledger.cancel("k") is Cancelled.CALLING
    assert driver.state() == "calling"
    assert driver.accept(claim) == "accepted"
    assert driver.state() == "accepted"
    assert driver.record().voice_id


@pytest.mark.parametrize("end", ["retry", "bury"])
def test_no_other_call_follows_one_that_failed(driver: LedgerDriver, end: str) -> None:
    claim = driver.in_state("calling")
    driver.ledger.cancel("k")
    assert getattr(driver, end)(claim) == "cancelled"
    assert (driver.state(), driver.due(), driver.indexes()) == ("cancelled", None, set())
    assert driver.accept(claim) == "accepted"  # the truth wins, as ever


def test_no_other_call_follows_one_whose_worker_died(driver: LedgerDriver) -> None:
    driver.in_state("calling")
    driver.ledger.cancel("k")
    driver.later(16)
    claim = driver.resume()
    assert (claim.answer, claim.reason) == (Answer.BURIED, "cancelled")
    assert driver.state() == "cancelled"
    assert driver.indexes() == set()


@pytest.mark.parametrize(
    ("state", "exit_code", "told", "after"),
    [
        (
            "none",
            0,
            "No record is kept of it. If it comes within 24 hours, it will not be called.",
            "cancelled",
        ),
        ("waiting", 0, "It waited, and will not be called.", "cancelled"),
        ("calling", 5, "It is being called: the phone may ring.", "calling"),
        ("accepted", 3, "Too late: the gateway took the call.", "accepted"),
        ("dead", 3, "It is dead, and will not be called unless somebody brings it back.", "dead"),
        ("cancelled", 3, "It was cancelled before.", "cancelled"),
    ],
)
def test_an_operator_withdraws_a_code_and_hears_what_it_was(  # noqa: PLR0913 - one argument per fact
    driver: LedgerDriver, server: Server, *, state: str, exit_code: int, told: str, after: str
) -> None:
    if state == "cancelled":
        driver.ledger.cancel("k")
    elif state != "none":
        driver.in_state(state)
    env = {"VOICECODE_BROKER_URL": server.url, "VOICECODE_OPERATOR": "night shift"}
    done = run(env, "cancel", "k")
    assert (done.exit_code, driver.state()) == (exit_code, after)
    assert done.stdout.startswith(told)
    line = next(line for line in objects(run(env, "dead", "audit", "--key", "k", "--json")))
    assert (line["action"], line["operator"], line["detail"]) == ("cancel", "night shift", f"it was {state}")
    assert objects(run(env, "cancel", "k", "--json"))[0]["key"] == "k"


def test_what_can_be_no_key_is_refused(server: Server) -> None:
    done = run({"VOICECODE_BROKER_URL": server.url}, "cancel", MOBILE)
    assert (done.exit_code, MOBILE in done.output) == (2, False)


@pytest.mark.parametrize("state", ["accepted", "dead"])
def test_what_has_ended_stays_as_it_is(driver: LedgerDriver, state: str) -> None:
    driver.in_state(state)
    before: Any = driver.client.hgetall(names.RECORD_PREFIX + "k")
    assert driver.ledger.cancel("k").value == state
    assert driver.client.hgetall(names.RECORD_PREFIX + "k") == before


def test_a_newer_record_is_left_alone(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.client.hset(names.RECORD_PREFIX + "k", "v", names.RECORD_VERSION + 1)
    assert driver.ledger.cancel("k") is Cancelled.NEWER
    assert driver.state() == "waiting"


def test_a_cancelled_code_supersedes_no_older_one(driver: LedgerDriver) -> None:
    claim = driver.claim("old", life=200, purpose="login")
    driver.retry(claim, 1)
    driver.retry(driver.claim("new", code=driver.code("new", "1111", life=300, purpose="login")), 1)
    driver.ledger.cancel("new")
    driver.later(2)
    assert driver.resume("old").answer is Answer.CALL


def test_a_person_who_is_erased_in_mid_call_leaves_nothing(driver: LedgerDriver) -> None:
    claim = driver.in_state("calling")
    driver.ledger.cancel("k")
    driver.client.hset(names.RECORD_PREFIX + "k", "erase", "86400")
    driver.accept(claim)
    assert "138" not in texts(driver.client).replace(claim.token, "")


def test_web_apps_cancel_by_message(sandbox: Sandbox) -> None:
    """Ours and stock Celery's; a code that came later, one that waits, and a bad message."""
    with Client(sandbox.url) as client:
        client.cancel("early")
        assert isinstance(client.send(MOBILE, "0042", key="early"), Sent)
        sandbox.gateway.script("13800000001", ["0"] * 9)
        worker = sandbox.worker(backoff_scale=10)
        sandbox.wait_state("early", "cancelled")
        sandbox.wait_empty()
        assert client.send(MOBILE, "0042", key="early") == Duplicate(key="early", state="cancelled")
        assert client.status("early").ended
        client.send("13800000001", "0042", key="waits")
        sandbox.wait_state("waits", "waiting")
        app = sandbox.producer()
        app.send_task(names.CANCEL_TASK, kwargs={"key": "waits"}, queue=names.QUEUE)
        sandbox.wait_state("waits", "cancelled")
        app.send_task(names.CANCEL_TASK, args=["no key!"], queue=names.QUEUE)
        wait_for(lambda: sandbox.redis.zcard(names.DEAD) == 1, LIMIT_SECONDS, "a dead letter")
        sandbox.wait_empty()
    assert sandbox.gateway.submissions(MOBILE) == []
    assert [line["was"] for line in worker.lines("code.cancelled")] == ["none", "waiting"]
