"""What an operator sees of one number, and may forget."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.support.ledger_driver import MOBILE, REPLIES, LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.reply import Reply
from worker.retry import GiveUp, Reason
from worker.sending.numbers import Numbers, NumberSeen


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    with server.client() as client:
        client.flushall()
    driver = LedgerDriver(server.url, number_per_minute=5, number_per_day=3, retry_gap_seconds=0)
    yield driver
    driver.close()


def numbers(driver: LedgerDriver) -> Numbers:
    return Numbers(driver.client, driver.settings)


def seen(driver: LedgerDriver) -> NumberSeen:
    return numbers(driver).show(MOBILE)


def refuse(driver: LedgerDriver, key: str) -> None:
    claim = driver.claim(key)
    assert Reply(code=4085).row(REPLIES).blocks_seconds == 600
    driver.finish(claim, Reply(code=4085), GiveUp(Reason.PERMANENT))


def test_nothing_counts_against_a_number_that_nobody_asked_for(driver: LedgerDriver) -> None:
    assert dataclasses.replace(seen(driver), digest="") == NumberSeen(
        digest="", submissions=0, blocked_by="", blocked_seconds=0, calls_today=0
    )
    assert not numbers(driver).unblock(MOBILE)


def test_submissions_calls_and_blocks_are_shown(driver: LedgerDriver) -> None:
    driver.accept(driver.claim("a"))
    refuse(driver, "b")
    shown = seen(driver)
    assert (shown.submissions, shown.calls_today, shown.blocked_by) == (2, 1, "4085")
    assert 590 < shown.blocked_seconds <= 600


def test_what_was_submitted_more_than_a_minute_ago_is_not_shown(driver: LedgerDriver) -> None:
    driver.later(-100)
    driver.accept(driver.claim("a"))
    driver.later(100)
    assert seen(driver).submissions == 0


def test_an_operator_forgets_a_block_and_the_days_calls_but_no_submission(driver: LedgerDriver) -> None:
    """Ten submissions in a minute freeze the account, whoever asked for them."""
    for key in ("a", "b", "c"):
        driver.accept(driver.claim(key))
    assert driver.claim("over the day").answer is not Answer.CALL
    assert numbers(driver).unblock(MOBILE)
    refuse(driver, "d")
    assert driver.claim("blocked").answer is not Answer.CALL
    assert numbers(driver).unblock(MOBILE)
    assert not numbers(driver).unblock(MOBILE)
    assert driver.claim("e").answer is Answer.CALL
    assert driver.claim("f").answer is Answer.LIMITED
