"""`voicecode status --watch`: the fleet, live."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from config.settings import Settings
from tests.support.ledger_driver import LedgerDriver
from worker.cli.watch import watch
from worker.embedded.server import Server
from worker.metrics.snapshot import Source
from worker.store.client import connect


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def watched(driver: LedgerDriver, settings: Settings, steps: int = 2) -> str:
    """Watch for a few screens of 80 columns; between them a code is accepted."""
    screen, left = io.StringIO(), iter(range(steps - 1))
    console = Console(file=screen, width=80, force_terminal=False)

    def pause(_seconds: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        driver.in_state("accepted", "new")

    with pytest.raises(KeyboardInterrupt):
        watch(Source(connect(settings), settings), console=console, pause=pause)
    return screen.getvalue()


def test_each_screen_shows_the_fleet_and_what_was_counted_meanwhile(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    text = watched(driver, driver.settings)
    assert "sending        sending" in text
    assert "failure queue  1 (permanent 1), 1 not expired" in text
    assert "s: 1 new, 1 accepted, 0 dead" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_a_redis_that_is_away_is_told_and_watched_on(driver: LedgerDriver) -> None:
    text = watched(driver, Settings(broker_url="redis://127.0.0.1:1/0"))
    assert "Redis cannot be reached" in text
