"""The ledger's rules for `finish`: each outcome is recorded once, an acceptance always."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.replies import Symptom
from tests.support.ledger_driver import MOBILE, LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.message import Refused
from worker.reply import Reply
from worker.retry import Done, GiveUp, Reason, RetryIn
from worker.store.availability import RedisUnavailable


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def test_an_accepted_code_leaves_due_and_is_kept_for_its_time_without_the_code(driver: LedgerDriver) -> None:
    assert driver.accept(driver.claim()) == "accepted"
    record = driver.record()
    assert (record.state, record.voice_id, record.reply_code, record.calls) == (
        "accepted",
        "16842079209571524017",
        2,
        1,
    )
    assert driver.due() is None
    assert driver.client.zcard(names.EXPIRY) == 0
    assert driver.ttl() == pytest.approx(86_400, abs=2)
    assert not record.sendable


def test_a_retry_waits_in_due(driver: LedgerDriver) -> None:
    assert driver.retry(driver.claim(), 7) == "waiting"
    record = driver.record()
    assert (record.state, record.row, record.ambiguous) == ("waiting", "http_503", 0)
    assert driver.due() == pytest.approx(7, abs=0.5)
    assert driver.ttl() == -1


def test_a_dead_letter_tells_all_that_is_known_and_stays(driver: LedgerDriver) -> None:
    driver.retry(driver.claim(), 1)
    driver.later(1.1)
    reply = Reply(code=4050, message="账号被冻结", http_status=200, elapsed_seconds=0.25)
    assert driver.finish(driver.resume(), reply, GiveUp(Reason.PERMANENT)) == "dead"
    record = driver.record()
    assert (record.state, record.reason, record.row, record.scope, record.reply_code) == (
        "dead",
        "permanent",
        "4050",
        "account",
        4050,
    )
    assert (record.mobile, record.reply_message, record.sendable) == (MOBILE, "账号被冻结", True)
    assert record.died_at == pytest.approx(driver.now, abs=1)
    first, second = record.attempts
    assert (first.number, first.row, first.ambiguous) == (1, "http_503", False)
    assert (second.reply_code, second.http_status, second.elapsed_seconds, second.worker) == (
        4050,
        200,
        0.25,
        "w1",
    )
    assert driver.due() is None
    assert driver.ttl() == -1
    assert driver.indexes() >= {"", ":reason:permanent", ":code:4050", ":scope:account"}


def test_what_is_shown_of_a_record_holds_neither_number_nor_code(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    record = driver.record()
    for text in (repr(record), repr(record.shown())):
        assert MOBILE not in text
        assert "0042" not in text
    assert record.shown()["mobile"] == "138****8000"


def test_an_ambiguous_attempt_is_counted_and_the_next_claim_knows(driver: LedgerDriver) -> None:
    driver.retry(driver.claim(), 1, symptom=Symptom.RESET)
    driver.later(1.1)
    claim = driver.resume()
    assert claim.rings == 1
    assert driver.record().ambiguous == 1
    assert driver.record().attempts[0].ambiguous
    driver.finish(claim, Reply(symptom=Symptom.READ_TIMEOUT), GiveUp(Reason.AMBIGUOUS))
    assert driver.record().ambiguous == 2
    assert ":ambiguous:yes" in driver.indexes()


def test_a_row_that_was_spent_is_known_to_the_next_claims_of_this_life_only(driver: LedgerDriver) -> None:
    driver.retry(driver.claim(), 0, spends="40501")
    second = driver.resume()
    assert second.spent == ("40501",)
    driver.retry(second, 0, spends="4080")
    third = driver.resume()
    assert third.spent == ("40501", "4080")
    driver.bury(third)
    driver.replay()
    assert driver.resume().spent == ()


@pytest.mark.parametrize("outcome", ["accept", "retry", "bury"])
def test_executed_twice_an_outcome_is_recorded_once(driver: LedgerDriver, outcome: str) -> None:
    claim = driver.claim()
    finish = getattr(driver, outcome)
    finish(claim)
    before: Any = driver.client.hgetall(names.RECORD_PREFIX + "k")
    due = driver.moment()
    assert finish(claim) == "done"
    assert driver.client.hgetall(names.RECORD_PREFIX + "k") == before
    assert driver.moment() == due


def test_executed_twice_an_ambiguous_outcome_counts_once_even_after_the_next_claim(
    driver: LedgerDriver,
) -> None:
    claim = driver.claim()
    driver.retry(claim, 0, symptom=Symptom.RESET)
    driver.resume()
    assert driver.retry(claim, 0, symptom=Symptom.RESET) == "done"
    assert driver.record().ambiguous == 1
    assert driver.state() == "calling"


@pytest.mark.parametrize("outcome", ["retry", "bury"])
@pytest.mark.parametrize("state", ["fenced", "dead", "replayed"])
def test_a_worker_that_comes_too_late_changes_nothing_but_its_own_attempt(
    driver: LedgerDriver, state: str, outcome: str
) -> None:
    late = dataclasses.replace(driver.in_state(state), token="an-older-token")
    due, indexes, before = driver.moment(), driver.indexes(), driver.record()
    assert getattr(driver, outcome)(late) == "fenced"
    after = driver.record()
    assert (after.state, after.ambiguous, after.reason) == (before.state, before.ambiguous, before.reason)
    assert (driver.moment(), driver.indexes()) == (due, indexes)
    assert after.attempts[0].row in {"http_503", "4050"}


@pytest.mark.parametrize("state", ["calling", "fenced", "waiting", "dead", "replayed"])
def test_an_acceptance_is_taken_in_every_state(driver: LedgerDriver, state: str) -> None:
    """The truth wins: whatever was decided meanwhile, the phone is being called."""
    claim = dataclasses.replace(driver.in_state(state), token="an-older-token")
    assert driver.accept(claim) == "accepted"
    record = driver.record()
    assert (record.state, record.calls, record.reason, record.voice_id) == (
        "accepted",
        1,
        "",
        "16842079209571524017",
    )
    assert driver.due() is None
    assert driver.client.zcard(names.EXPIRY) == 0
    assert driver.indexes() == set()
    assert driver.ttl() > 0
    assert driver.resume().answer is Answer.ACCEPTED


def test_an_acceptance_whose_record_is_gone_leaves_a_tombstone(driver: LedgerDriver) -> None:
    """Else the message, when it comes again, would be called again."""
    claim = driver.claim()
    driver.client.delete(names.RECORD_PREFIX + "k")
    assert driver.accept(claim) == "accepted"
    assert driver.claim().answer is Answer.ACCEPTED
    assert driver.claim(code=driver.code(code="9999")).answer is Answer.CONFLICT
    assert driver.ttl() > 0


@pytest.mark.parametrize("outcome", ["retry", "bury"])
def test_another_outcome_whose_record_is_gone_makes_none(driver: LedgerDriver, outcome: str) -> None:
    claim = driver.claim()
    driver.client.delete(names.RECORD_PREFIX + "k")
    assert getattr(driver, outcome)(claim) == "gone"
    assert driver.ledger.record("k") is None


def test_accepted_is_never_left(driver: LedgerDriver) -> None:
    zombie = driver.claim()
    driver.later(15.1)
    driver.accept(driver.resume())
    assert driver.retry(zombie) == "appended"
    assert driver.bury(dataclasses.replace(zombie, token="another")) == "appended"
    record = driver.record()
    assert (record.state, record.reply_code, record.tries) == ("accepted", 2, 2)
    assert driver.due() is None
    assert driver.indexes() == set()
    assert driver.ttl() > 0


def test_a_second_acceptance_is_counted_as_a_double_call(driver: LedgerDriver) -> None:
    zombie = driver.claim()
    driver.later(15.1)
    driver.accept(driver.resume())
    assert driver.accept(zombie) == "doubled"
    assert driver.record().calls == 2
    assert driver.accept(zombie) == "done"
    assert driver.record().calls == 2


def test_only_accepted_records_ever_vanish_by_themselves(driver: LedgerDriver) -> None:
    for number, state in enumerate(("calling", "waiting", "dead", "replayed", "fenced")):
        driver.in_state(state, key=f"k{number}")
        assert driver.ttl(f"k{number}") == -1, state
    driver.in_state("accepted", key="done")
    assert driver.ttl("done") > 0


@pytest.fixture
def full(server: Server) -> Iterator[LedgerDriver]:
    """Give a driver whose test may fill Redis up; there is room again afterwards."""
    driver = LedgerDriver(server.url)
    yield driver
    driver.client.config_set("maxmemory", 0)
    driver.close()


@pytest.mark.parametrize(
    ("reply", "decision", "word"),
    [
        (Reply(code=2), Done(), "accepted"),
        (Reply(symptom=Symptom.RESET), RetryIn(3), "waiting"),
        (Reply(code=4050, message="账号被冻结"), GiveUp(Reason.PERMANENT), "dead"),
    ],
)
def test_outcomes_are_recorded_when_redis_is_full(
    full: LedgerDriver, reply: Reply, decision: Any, word: str
) -> None:
    claim = full.claim()
    full.client.config_set("maxmemory", 1)
    assert full.finish(claim, reply, decision) == word
    assert full.state() == word


def test_no_call_starts_and_nothing_is_refused_when_redis_is_full(full: LedgerDriver) -> None:
    """The message stays where it is, and comes back."""
    full.retry(full.claim("waits"), 0)
    code = full.code()
    full.client.config_set("maxmemory", 1)
    with pytest.raises(RedisUnavailable, match=r"OutOfMemory|OOM"):
        full.claim(code=code)
    with pytest.raises(RedisUnavailable):
        full.resume("waits")
    with pytest.raises(RedisUnavailable):
        full.refuse(Refused(key="r", reason="x"))
    assert full.ledger.record("k") is None
    assert full.state("waits") == "waiting"
    full.client.config_set("maxmemory", 0)
    assert full.resume("waits").answer is Answer.CALL


def test_an_accepted_record_is_small_and_tells_what_support_asks_for(driver: LedgerDriver) -> None:
    """Redis packs it: what made the hash large is gone, not only deleted."""
    key = "login:7f3a9c8e-0000-4000-8000-0000000000a1"
    driver.retry(driver.claim(key), 1, symptom=Symptom.RESET)
    driver.later(1.1)
    driver.accept(driver.resume(key))
    name = names.RECORD_PREFIX + key
    fields: Any = driver.client.hgetall(name)

    assert driver.client.object("encoding", name) in {"listpack", "ziplist"}
    assert (driver.client.memory_usage(name) or 0) <= 460
    assert fields.keys() == {
        *("v", "state", "digest", "number", "mobile", "voice_id", "reply_code", "token"),
        *("accepted_at", "first_seen", "expires_at", "attempt", "calls", "ambiguous_total"),
    }
    assert fields["mobile"] == "138****8000"
    record = driver.record(key)
    assert (record.tries, record.calls, record.ambiguous, record.reply_code) == (2, 1, 1, 2)
    assert record.voice_id == "16842079209571524017"
    assert record.shown()["mobile"] == "138****8000"


@pytest.mark.parametrize("step", ["accept", "retry", "bury"])
def test_a_late_outcome_of_an_accepted_code_knows_itself(driver: LedgerDriver, step: str) -> None:
    zombie = driver.claim()
    driver.later(15.1)
    driver.accept(driver.resume())

    first, second = getattr(driver, step)(zombie), getattr(driver, step)(zombie)

    assert (first, second) == ("doubled" if step == "accept" else "appended", "done")
    assert driver.record().calls == (2 if step == "accept" else 1)
