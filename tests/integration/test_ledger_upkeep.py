"""The ledger's rules for upkeep: nothing due is forgotten, nothing expired is kept waiting, and nothing is called for it twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.replies import Symptom
from tests.support.ledger_driver import MOBILE, Walk
from worker.embedded.server import Server
from worker.ledger.claim import Answer


@pytest.fixture
def walk(server: Server) -> Iterator[Walk]:
    walk = Walk(server.url)
    yield walk
    walk.close()


def hints(walk: Walk) -> list[dict[str, Any]]:
    """Return the messages that wait, in the order in which they are fetched."""
    items: Any = walk.client.lrange(names.HINTS, 0, -1) + walk.client.lrange(names.QUEUE, 0, -1)
    return [json.loads(item) for item in reversed(items)]


def hinted_keys(walk: Walk) -> list[str]:
    return [json.loads(hint["body"])[0][0] for hint in hints(walk)]


def test_what_is_due_is_hinted_and_stays_in_due(walk: Walk) -> None:
    """A poller that removes first loses what it removed when it dies."""
    walk.in_state("waiting")
    walk.later(5.1)
    assert walk.upkeep().hinted == 1
    assert hinted_keys(walk) == ["k"]
    assert walk.due() == pytest.approx(walk.settings.hold_seconds, abs=0.5)


def test_a_key_is_hinted_once_within_the_hold_and_again_after_it(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.later(5.1)
    assert [walk.upkeep().hinted for _ in range(3)] == [1, 0, 0]
    walk.later(walk.settings.hold_seconds + 0.1)
    assert walk.upkeep().hinted == 1
    first, second = hints(walk)
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]


def test_a_hint_holds_the_key_and_nothing_else(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.later(5.1)
    walk.upkeep()
    (raw,) = walk.client.lrange(names.QUEUE, 0, -1)
    assert MOBILE not in raw
    assert "0042" not in raw
    hint = json.loads(raw)
    assert json.loads(hint["body"]) == [["k"], {}, {}]
    assert (hint["headers"]["task"], hint["headers"]["v"]) == (names.RESUME_TASK, names.RECORD_VERSION)


def test_what_is_not_due_yet_is_left_alone(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.in_state("calling", key="c")
    walk.in_state("dead", key="d")
    walk.in_state("accepted", key="a")
    walk.later(4.5)
    assert walk.upkeep().hinted == 0


def test_a_call_whose_worker_died_is_hinted_when_its_lease_is_over(walk: Walk) -> None:
    walk.claim()
    walk.later(14.5)
    assert walk.upkeep().hinted == 0
    walk.later(0.6)
    assert walk.upkeep().hinted == 1
    assert walk.resume().since_ambiguous == 1


def test_a_hint_of_a_finished_code_is_harmless(walk: Walk) -> None:
    walk.claim()
    walk.later(15.1)
    walk.upkeep()
    walk.accept(walk.resume())
    assert walk.resume().answer is Answer.ACCEPTED
    assert walk.due() is None


def test_after_an_outage_no_lease_is_over_for_a_while(walk: Walk) -> None:
    walk.claim()
    walk.availability.failed()
    walk.availability.succeeded()
    walk.later(15.1)
    assert walk.upkeep().hinted == 0
    assert walk.due() == pytest.approx(2.9, abs=0.5)
    walk.monotonic += 3.1
    walk.later(3.1)
    assert walk.upkeep().hinted == 1


@pytest.mark.parametrize(("symptom", "reason"), [(Symptom.HTTP_503, "expired"), (Symptom.RESET, "ambiguous")])
def test_what_expires_while_it_waits_is_buried_without_a_hint(
    walk: Walk, symptom: Symptom, reason: str
) -> None:
    walk.retry(walk.claim(life=10), 5, symptom=symptom)
    walk.later(10.1)
    tidied = walk.upkeep()
    assert [(b.key, b.reason, b.mobile, b.task_id) for b in tidied.buried] == [
        ("k", reason, MOBILE, "task-k")
    ]
    assert (tidied.hinted, hints(walk)) == (0, [])
    assert (walk.state(), walk.record().reason) == ("dead", reason)
    assert walk.due() is None
    assert walk.client.zcard(names.EXPIRY) == 0
    assert MOBILE not in repr(tidied)


def test_a_call_in_flight_is_not_buried_before_its_lease_is_over(walk: Walk) -> None:
    claim = walk.claim(life=5)
    walk.later(5.1)
    assert walk.upkeep().buried == ()
    assert walk.accept(claim) == "accepted"


def test_a_call_whose_worker_died_and_whose_life_is_over_dies_as_ambiguous(walk: Walk) -> None:
    walk.claim(life=5)
    walk.later(15.1)
    walk.upkeep()
    walk.later(0.1)
    record = walk.record()
    assert (record.state, record.reason, record.ambiguous, record.deaths) == ("dead", "ambiguous", 1, 1)


def test_a_backlog_of_hints_holds_hints_back_and_not_burials(server: Server) -> None:
    """What is expired must not wait behind them."""
    walk = Walk(server.url, upkeep_backlog=2)
    walk.retry(walk.claim("late", life=3), 1)
    for number in range(3):
        walk.in_state("waiting", key=f"k{number}")
    walk.client.lpush(names.QUEUE, "one")
    walk.later(5.1)
    tidied = walk.upkeep()
    assert (tidied.hinted, [b.key for b in tidied.buried]) == (2, ["late"])
    assert walk.upkeep().hinted == 0
    assert walk.client.zcard(names.DUE) == 3
    walk.close()


def test_the_longest_due_and_the_longest_expired_come_first(server: Server) -> None:
    walk = Walk(server.url, upkeep_batch=2)
    for key, seconds in (("c", 3), ("a", 1), ("b", 2)):
        walk.retry(walk.claim(key), seconds)
    for key, life in (("z", 3), ("x", 1), ("y", 2)):
        walk.retry(walk.claim(key, life=life), 60)
    walk.later(5)
    first, second = walk.upkeep(), walk.upkeep()
    assert hinted_keys(walk) == ["a", "b", "c"]
    assert [[b.key for b in tidied.buried] for tidied in (first, second)] == [["x", "y"], ["z"]]
    assert (first.more, second.more) == (True, False)
    walk.close()


def test_hints_leave_the_queue_to_new_codes(walk: Walk) -> None:
    """Only where the queue is empty one of them goes there, to wake a worker that waits for it."""
    for number in range(3):
        walk.in_state("waiting", key=f"k{number}")
    walk.later(5.1)
    assert walk.upkeep().hinted == 3
    assert (walk.client.llen(names.QUEUE), walk.client.llen(names.HINTS)) == (1, 2)
    walk.later(walk.settings.hold_seconds + 0.1)
    assert walk.upkeep().hinted == 3
    assert (walk.client.llen(names.QUEUE), walk.client.llen(names.HINTS)) == (1, 5)


def test_without_hints_it_only_buries(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.retry(walk.claim("late", life=3), 1)
    walk.later(5.1)
    tidied = walk.ledger.upkeep(token="t", hints=False)
    assert (tidied.hinted, len(tidied.buried)) == (0, 1)


def test_a_key_without_a_record_is_taken_out_and_told(walk: Walk) -> None:
    walk.client.zadd(names.DUE, {"lost": 1})
    walk.client.zadd(names.EXPIRY, {"gone": 1})
    assert set(walk.upkeep().missing) == {"lost", "gone"}
    assert walk.client.exists(names.DUE, names.EXPIRY) == 0


def test_a_record_of_a_later_version_is_not_buried_by_this_one(walk: Walk) -> None:
    walk.retry(walk.claim(life=5), 60)
    walk.client.hset(names.RECORD_PREFIX + "k", "v", names.RECORD_VERSION + 1)
    walk.later(6)
    assert walk.upkeep().buried == ()
    assert walk.state() == "waiting"


def test_executed_twice_upkeep_hints_and_buries_once(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.retry(walk.claim("late", life=3), 1)
    walk.later(5.1)
    tidied = [walk.ledger.upkeep(token="same") for _ in range(2)]
    assert [t.hinted for t in tidied] == [1, 0]
    assert [len(t.buried) for t in tidied] == [1, 0]


def test_every_unfinished_code_is_in_due_whatever_became_of_it(walk: Walk) -> None:
    """Else nobody would look at it again."""
    for state in ("calling", "waiting", "replayed", "fenced"):
        walk.in_state(state, key=state)
        assert walk.due(state) is not None, state
        assert walk.client.zscore(names.EXPIRY, state) is not None, state
    for state in ("accepted", "dead"):
        walk.in_state(state, key=state)
        assert walk.due(state) is None, state
        assert walk.client.zscore(names.EXPIRY, state) is None, state
