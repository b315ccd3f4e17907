"""A code that the gateway refused on one host is called from another one, if one is able."""

import json
from collections.abc import Iterator

import pytest

from config import names
from config.replies import Replies
from tests.support.ledger_driver import LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.reply import Reply
from worker.retry import OTHER_HOST, RetryIn
from worker.sending.state import Sender, why

REFUSED = Reply(code=4052, message="访问ip与备案ip不符")


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def report(driver: LedgerDriver, host: str, *, unfit: bool = False) -> None:
    """Have a worker on a host say how it is."""
    said = {"at": driver.now, "host": host, "config": "one"}
    if unfit:
        said["unfit"] = why(REFUSED.row(Replies()), 15)
    driver.client.hset(f"{names.SENDING}:fleet", host, json.dumps(said))


def refused_on(driver: LedgerDriver, host: str) -> None:
    driver.sender = Sender(config="one", host=host)
    driver.finish(driver.claim(), REFUSED, RetryIn(1.5, spends=OTHER_HOST))
    driver.later(2)


def test_the_host_that_was_refused_leaves_the_code_to_another(driver: LedgerDriver) -> None:
    refused_on(driver, "a")
    # `a` has recovered meanwhile, so nothing else keeps it from calling.
    report(driver, "a")
    report(driver, "b")
    assert driver.resume().answer is Answer.ELSEWHERE
    driver.sender = Sender(config="one", host="b")
    assert driver.resume().answer is Answer.CALL


@pytest.mark.parametrize("other", ["none", "unfit"])
def test_the_same_host_tries_again_where_no_other_can(driver: LedgerDriver, other: str) -> None:
    refused_on(driver, "a")
    report(driver, "a")
    if other == "unfit":
        report(driver, "b", unfit=True)
    assert driver.resume().answer is Answer.CALL


def test_a_replay_forgets_the_host(driver: LedgerDriver) -> None:
    refused_on(driver, "a")
    report(driver, "b")
    driver.sender = Sender(config="one", host="b")
    driver.bury(driver.resume(), code=4052)
    assert driver.replay() == "replayed"
    driver.sender = Sender(config="one", host="a")
    report(driver, "a")
    assert driver.resume().answer is Answer.CALL
