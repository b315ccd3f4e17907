"""The ledger's rules for upkeep: nothing due is forgotten, nothing expired is kept."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.replies import Symptom
from tests.support.ledger_driver import MOBILE, LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def hints(driver: LedgerDriver) -> list[dict[str, Any]]:
    """Return the messages that wait, in the order in which they are fetched."""
    items: Any = driver.client.lrange(names.HINTS, 0, -1) + driver.client.lrange(names.QUEUE, 0, -1)
    return [json.loads(item) for item in reversed(items)]


def hinted_keys(driver: LedgerDriver) -> list[str]:
    return [json.loads(hint["body"])[0][0] for hint in hints(driver)]


def test_what_is_due_is_hinted_and_stays_in_due(driver: LedgerDriver) -> None:
    """A poller that removes first loses what it removed when it dies."""
    driver.in_state("waiting")
    driver.later(5.1)
    assert driver.upkeep().hinted == 1
    assert hinted_keys(driver) == ["k"]
    assert driver.due() == pytest.approx(driver.settings.hold_seconds, abs=0.5)


def test_a_key_is_hinted_once_within_the_hold_and_again_after_it(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.later(5.1)
    assert [driver.upkeep().hinted for _ in range(3)] == [1, 0, 0]
    driver.later(driver.settings.hold_seconds + 0.1)
    assert driver.upkeep().hinted == 1
    first, second = hints(driver)
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]


def test_a_hint_holds_the_key_and_nothing_else(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.later(5.1)
    driver.upkeep()
    (raw,) = driver.client.lrange(names.QUEUE, 0, -1)
    assert MOBILE not in raw
    assert "0042" not in raw
    hint = json.loads(raw)
    assert json.loads(hint["body"]) == [["k"], {}, {}]
    assert (hint["headers"]["task"], hint["headers"]["v"]) == (names.RESUME_TASK, names.RECORD_VERSION)


def test_what_is_not_due_yet_is_left_alone(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.in_state("calling", key="c")
    driver.in_state("dead", key="d")
    driver.in_state("accepted", key="a")
    driver.later(4.5)
    assert driver.upkeep().hinted == 0


def test_a_call_whose_worker_died_is_hinted_when_its_lease_is_over(driver: LedgerDriver) -> None:
    driver.claim()
    driver.later(14.5)
    assert driver.upkeep().hinted == 0
    driver.later(0.6)
    assert driver.upkeep().hinted == 1
    assert driver.resume().rings == 1


def test_a_hint_of_a_finished_code_is_harmless(driver: LedgerDriver) -> None:
    driver.claim()
    driver.later(15.1)
    driver.upkeep()
    driver.accept(driver.resume())
    assert driver.resume().answer is Answer.ACCEPTED
    assert driver.due() is None


def test_after_an_outage_no_lease_is_over_for_a_while(driver: LedgerDriver) -> None:
    driver.claim()
    driver.availability.failed()
    driver.availability.succeeded()
    driver.later(15.1)
    assert driver.upkeep().hinted == 0
    assert driver.due() == pytest.approx(2.9, abs=0.5)
    driver.monotonic += 3.1
    driver.later(3.1)
    assert driver.upkeep().hinted == 1


@pytest.mark.parametrize(("symptom", "reason"), [(Symptom.HTTP_503, "expired"), (Symptom.RESET, "ambiguous")])
def test_what_expires_while_it_waits_is_buried_without_a_hint(
    driver: LedgerDriver, symptom: Symptom, reason: str
) -> None:
    driver.retry(driver.claim(life=10), 5, symptom=symptom)
    driver.later(10.1)
    tidied = driver.upkeep()
    assert [(b.key, b.reason, b.mobile, b.task_id) for b in tidied.buried] == [
        ("k", reason, MOBILE, "task-k")
    ]
    assert (tidied.hinted, hints(driver)) == (0, [])
    assert (driver.state(), driver.record().reason) == ("dead", reason)
    assert driver.due() is None
    assert driver.client.zcard(names.EXPIRY) == 0
    assert MOBILE not in repr(tidied)


def test_a_call_in_flight_is_not_buried_before_its_lease_is_over(driver: LedgerDriver) -> None:
    claim = driver.claim(life=5)
    driver.later(5.1)
    assert driver.upkeep().buried == ()
    assert driver.accept(claim) == "accepted"


def test_a_call_whose_worker_died_and_whose_life_is_over_dies_as_ambiguous(driver: LedgerDriver) -> None:
    driver.claim(life=5)
    driver.later(15.1)
    driver.upkeep()
    driver.later(0.1)
    record = driver.record()
    assert (record.state, record.reason, record.ambiguous, record.deaths) == ("dead", "ambiguous", 1, 1)


def test_a_backlog_of_hints_holds_hints_back_and_not_burials(server: Server) -> None:
    """What is expired must not wait behind them."""
    driver = LedgerDriver(server.url, upkeep_backlog=2)
    driver.retry(driver.claim("late", life=3), 1)
    for number in range(3):
        driver.in_state("waiting", key=f"k{number}")
    driver.client.lpush(names.QUEUE, "one")
    driver.later(5.1)
    tidied = driver.upkeep()
    assert (tidied.hinted, [b.key for b in tidied.buried]) == (2, ["late"])
    assert driver.upkeep().hinted == 0
    assert driver.client.zcard(names.DUE) == 3
    driver.close()


def test_the_longest_due_and_the_longest_expired_come_first(server: Server) -> None:
    driver = LedgerDriver(server.url, upkeep_batch=2)
    for key, seconds in (("c", 3), ("a", 1), ("b", 2)):
        driver.retry(driver.claim(key), seconds)
    for key, life in (("z", 3), ("x", 1), ("y", 2)):
        driver.retry(driver.claim(key, life=life), 60)
    driver.later(5)
    first, second = driver.upkeep(), driver.upkeep()
    assert hinted_keys(driver) == ["a", "b", "c"]
    assert [[b.key for b in tidied.buried] for tidied in (first, second)] == [["x", "y"], ["z"]]
    assert (first.more, second.more) == (True, False)
    driver.close()


def test_hints_leave_the_queue_to_new_codes(driver: LedgerDriver) -> None:
    """Only where the queue is empty one of them goes there, to wake a worker that waits for it."""
    for number in range(3):
        driver.in_state("waiting", key=f"k{number}")
    driver.later(5.1)
    assert driver.upkeep().hinted == 3
    assert (driver.client.llen(names.QUEUE), driver.client.llen(names.HINTS)) == (1, 2)
    driver.later(driver.settings.hold_seconds + 0.1)
    assert driver.upkeep().hinted == 3
    assert (driver.client.llen(names.QUEUE), driver.client.llen(names.HINTS)) == (1, 5)


def test_without_hints_it_only_buries(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.retry(driver.claim("late", life=3), 1)
    driver.later(5.1)
    tidied = driver.ledger.upkeep(token="t", hints=False)
    assert (tidied.hinted, len(tidied.buried)) == (0, 1)


def test_a_key_without_a_record_is_taken_out_and_told(driver: LedgerDriver) -> None:
    driver.client.zadd(names.DUE, {"lost": 1})
    driver.client.zadd(names.EXPIRY, {"gone": 1})
    assert set(driver.upkeep().missing) == {"lost", "gone"}
    assert driver.client.exists(names.DUE, names.EXPIRY) == 0


def test_a_record_of_a_later_version_is_not_buried_by_this_one(driver: LedgerDriver) -> None:
    driver.retry(driver.claim(life=5), 60)
    driver.client.hset(names.RECORD_PREFIX + "k", "v", names.RECORD_VERSION + 1)
    driver.later(6)
    assert driver.upkeep().buried == ()
    assert driver.state() == "waiting"


def test_executed_twice_upkeep_hints_and_buries_once(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.retry(driver.claim("late", life=3), 1)
    driver.later(5.1)
    tidied = [driver.ledger.upkeep(token="same") for _ in range(2)]
    assert [t.hinted for t in tidied] == [1, 0]
    assert [len(t.buried) for t in tidied] == [1, 0]


def test_every_unfinished_code_is_in_due_whatever_became_of_it(driver: LedgerDriver) -> None:
    """Else nobody would look at it again."""
    for state in ("calling", "waiting", "replayed", "fenced"):
        driver.in_state(state, key=state)
        assert driver.due(state) is not None, state
        assert driver.client.zscore(names.EXPIRY, state) is not None, state
    for state in ("accepted", "dead"):
        driver.in_state(state, key=state)
        assert driver.due(state) is None, state
        assert driver.client.zscore(names.EXPIRY, state) is None, state
