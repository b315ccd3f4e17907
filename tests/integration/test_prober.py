"""The prober: which worker asks for which account's balance, and what follows."""

from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from tests.integration.test_sending_news import NoCredit
from tests.support.fleet_driver import FleetDriver
from worker.embedded.server import Server
from worker.reply import Reply
from worker.sending import Fleet, State
from worker.sending.prober import Prober


class Account:
    """An account at the gateway, and how often its balance was asked for."""

    def __init__(self, balance: int) -> None:
        self.left = balance
        self.asked = 0

    def balance(self) -> Reply:
        self.asked += 1
        return Reply(code=2, balance=self.left)


class Worker:
    """The parts of a worker that look after its account. `w1` of the driver calls for it."""

    def __init__(self, driver: FleetDriver, name: str, **values: Any) -> None:
        settings = driver.settings.model_copy(update={"account": name, **values})
        self.account = Account(5000)
        self.fleet = Fleet(
            driver.client,
            settings,
            driver.availability,
            NoCredit(),
            instance=f"{name}-{id(self)}",
            host=name,
            facts={},
        )
        self.prober = Prober(self.fleet, self.account, driver.client, settings, driver.availability)
        self.fleet.report()

    def look(self) -> None:
        self.fleet.report()
        self.prober.look()


@pytest.fixture
def driver(server: Server) -> Iterator[FleetDriver]:
    with server.client() as client:
        client.flushall()
    driver = FleetDriver(server.url)
    yield driver
    driver.close()


def empty(driver: FleetDriver, *workers: Worker) -> None:
    """Let their accounts be refused as empty."""
    for worker in workers:
        worker.account.left = 0
        driver.workers["w1"].config = worker.fleet.config
        driver.meet("4051")


def test_each_of_two_empty_accounts_is_asked_for_by_its_own_worker(driver: FleetDriver) -> None:
    """Else the first worker's question keeps the other one from seeing its own top-up."""
    one, two = Worker(driver, "one"), Worker(driver, "two")
    empty(driver, one, two)
    assert driver.sending.row == "4051"
    two.account.left = 500
    one.look()
    two.look()
    two.fleet.report()
    assert (one.account.asked, two.account.asked) == (1, 1)
    assert driver.sending.state is State.TRIAL


def test_one_worker_of_an_empty_account_asks(driver: FleetDriver) -> None:
    one, same = Worker(driver, "one"), Worker(driver, "one")
    driver.client.set(f"{names.SENDING}:balance", "asked a moment ago")
    empty(driver, one)
    for worker in (one, same, one, same):
        worker.look()
    assert one.account.asked + same.account.asked == 1


def test_the_standbys_balance_is_looked_at_only_while_it_sends(driver: FleetDriver) -> None:
    """It is another account: to mix the two would warn again and again."""
    one, standby = Worker(driver, "one"), Worker(driver, "two", standby=True)
    for worker in (standby, one, standby):
        worker.look()
    assert (one.account.asked, standby.account.asked) == (1, 0)
    driver.workers["w1"].config = one.fleet.config
    assert driver.meet("4050") == "blocked"
    driver.client.delete(f"{names.SENDING}:balance")
    for worker in (one, standby):
        worker.look()
    assert (one.account.asked, standby.account.asked) == (1, 1)
