"""Dead letters give up what nobody may need any more: the code, later the number."""

from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from tests.support.ledger_driver import MOBILE, LedgerDriver
from tests.support.old_version import OldLedger, digest
from worker.embedded.server import Server
from worker.failure_queue import Choice, FailureQueue, Filter
from worker.failure_queue.retirement import Retirement
from worker.message import Refused
from worker.store import keys

GRACE, DAY = 3_600, 86_400


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url, digest_key="a key of these tests", max_ttl_seconds=3_600)
    driver.client.flushall()
    yield driver
    driver.close()


def retire(driver: LedgerDriver) -> tuple[int, int]:
    retirement = Retirement(driver.client, driver.settings, clock_offset=driver.ledger.clock_offset)
    retirement.adopt()
    return retirement.retire(limit=1_000)


def fields(driver: LedgerDriver, key: str = "k") -> dict[str, str]:
    found: Any = driver.client.hgetall(keys.record(key))
    return dict(found)


def status(driver: LedgerDriver, key: str = "k", **choice: Any) -> str:
    return driver.replay(key, **choice)


def test_a_code_goes_a_grace_after_its_life_and_its_number_after_days(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    before = fields(driver)

    driver.later(300 + GRACE - 5)
    assert retire(driver) == (0, 0)
    driver.later(10)
    assert retire(driver) == (1, 0)

    held = fields(driver)
    assert "code" not in held
    assert held["mobile"] == MOBILE
    assert {name: held[name] for name in ("state", "reason", "attempt:1")} == {
        name: before[name] for name in ("state", "reason", "attempt:1")
    }
    driver.later(7 * DAY)
    assert retire(driver) == (0, 1)
    assert fields(driver)["mobile"] == "138****8000"
    assert retire(driver) == (0, 0)
    assert driver.client.zcard(f"{names.DEAD}:holds") == 0


def test_a_replay_says_why_it_cannot(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    driver.later(300 + GRACE + 1)
    retire(driver)

    assert status(driver, life_seconds=300) == "retired"
    queue = FailureQueue(
        driver.client, driver.settings, operator="ops", clock_offset=driver.ledger.clock_offset
    )
    assert queue.plan(Filter(), Choice(life_seconds=300)).as_dict() == {
        **dict.fromkeys(("sendable", "expired", "superseded", "ambiguous", "unsendable"), 0),
        "retired": 1,
        "total": 1,
    }


def test_within_the_grace_a_new_life_is_still_possible(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    driver.later(300 + GRACE - 5)
    retire(driver)

    assert status(driver, life_seconds=300) == "replayed"
    driver.later(2 * GRACE)
    assert retire(driver) == (0, 0)


def test_a_superseded_code_goes_at_once(driver: LedgerDriver) -> None:
    first = driver.claim(code=driver.code("first", purpose="login"))
    driver.retry(first, 1)
    driver.claim(code=driver.code("second", "7777", life=400, purpose="login"))
    driver.later(2)
    assert driver.resume("first").reason == "superseded"

    assert retire(driver) == (1, 0)
    assert "code" not in fields(driver, "first")
    queue = FailureQueue(
        driver.client, driver.settings, operator="ops", clock_offset=driver.ledger.clock_offset
    )
    assert queue.stats().unexpired == 0


def test_a_refused_message_gives_up_what_it_said(driver: LedgerDriver) -> None:
    driver.refuse(Refused(key="k", reason="wrong", mobile=MOBILE, raw=f'[["{MOBILE}", 42]]'))
    assert retire(driver) == (0, 0)
    driver.later(GRACE + 1)

    assert retire(driver) == (1, 0)
    assert "raw" not in fields(driver)
    assert driver.record().detail == "wrong"


def test_a_discarded_dead_letter_gives_up_its_code_too(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    queue = FailureQueue(driver.client, driver.settings, operator="ops")
    list(queue.discard(["k"], run="r"))
    driver.later(300 + GRACE + 1)

    assert retire(driver) == (1, 0)
    list(queue.undo(run="r"))
    assert driver.indexes() >= {"", ":reason:permanent", ":ends:8000"}


def test_indexes_and_counts_stay_true_without_number_and_code(driver: LedgerDriver) -> None:
    for key in ("a", "b"):
        driver.in_state("dead", key)
    driver.later(8 * DAY)
    retire(driver)
    queue = FailureQueue(
        driver.client, driver.settings, operator="ops", clock_offset=driver.ledger.clock_offset
    )

    assert queue.stats().distinct_numbers == 1
    assert set(queue.keys(Filter(mobile_ends="8000"))) == {"a", "b"}
    assert sum(queue.purge(older_than_seconds=DAY)) == 2
    left: Any = driver.client.keys(f"{names.DEAD}*")
    assert [name for name in left if "newest" not in name] == []


def test_a_dead_letter_of_0_1_0_gets_keyed_digests_and_is_retired(driver: LedgerDriver) -> None:
    old, code = OldLedger(driver.client), driver.code()
    attempt = old.claim(code, token="a-token")[1]
    old.finish("k", token="a-token", attempt=attempt, outcome="dead", reason="permanent")

    assert retire(driver) == (0, 0)

    held = fields(driver)
    assert digest(code) not in held.values()
    assert held["number"] == driver.ledger.digests.number(MOBILE)
    assert not driver.client.exists(f"{names.DEAD}:numbers:8000")
    assert old.claim(code, token="old-2") == ["newer"]
    driver.later(8 * DAY)
    assert retire(driver) == (1, 1)


def test_upkeep_does_it(driver: LedgerDriver) -> None:
    """A round of retention, as every worker does it."""
    from worker.failure_queue.retention import Retention  # noqa: PLC0415 - this test alone needs it

    driver.in_state("dead")
    driver.client.zadd(f"{names.DEAD}:holds", {"k": 0})
    settings = driver.settings.model_copy(update={"dead_retention_days": 0})
    Retention(FailureQueue(driver.client, settings, operator="upkeep")).look()

    assert "code" not in fields(driver)
