"""The ledger's rules for `claim`, `replay` and `refuse`."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.replies import Symptom
from tests.support.ledger_driver import MOBILE, LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.ledger.refuse import Refusal
from worker.message import Refused
from worker.store.availability import RedisUnavailable


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def test_the_first_sight_makes_a_record_and_may_call(driver: LedgerDriver) -> None:
    claim = driver.claim()
    assert claim.answer is Answer.CALL
    assert claim.voice_code is not None
    assert (claim.voice_code.mobile, claim.voice_code.code) == (MOBILE, "0042")
    assert (claim.attempt, claim.submissions, claim.rings, claim.task_id) == (
        1,
        1,
        0,
        "task-k",
    )
    assert claim.seconds_left == pytest.approx(300, abs=1)
    assert driver.state() == "calling"
    assert driver.due() == pytest.approx(15, abs=1)


def test_one_lease_has_one_caller(driver: LedgerDriver) -> None:
    driver.claim()
    driver.later(14.8)
    assert driver.claim().answer is Answer.BUSY
    assert driver.resume().answer is Answer.BUSY


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("calling", Answer.BUSY),
        ("waiting", Answer.EARLY),
        ("accepted", Answer.ACCEPTED),
        ("dead", Answer.DEAD),
        ("replayed", Answer.CALL),
    ],
)
def test_a_duplicate_hears_how_the_code_stands(driver: LedgerDriver, state: str, answer: Answer) -> None:
    driver.in_state(state)
    assert driver.claim().answer is answer


def test_a_waiting_code_may_be_called_once_its_moment_has_come(driver: LedgerDriver) -> None:
    driver.in_state("waiting")
    driver.later(4.5)
    assert driver.resume().answer is Answer.EARLY
    driver.later(0.6)
    claim = driver.resume()
    assert (claim.answer, claim.attempt) == (Answer.CALL, 2)


def test_executed_twice_with_one_token_a_claim_answers_the_same(driver: LedgerDriver) -> None:
    """redis-py repeats a command whose answer was lost: a claim must recognise itself."""
    first, again = (driver.claim(token="same") for _ in range(2))
    assert (first.answer, again.answer) == (Answer.CALL, Answer.CALL)
    assert (first.attempt, again.attempt) == (1, 1)
    assert len(driver.record().attempts) == 1


def test_executed_twice_a_claim_that_buries_says_so_twice(driver: LedgerDriver) -> None:
    late = driver.code(life=-1)
    first, again = (driver.claim(token="same", code=late) for _ in range(2))
    assert (first.answer, first.reason) == (again.answer, again.reason) == (Answer.BURIED, "expired")
    assert driver.claim(code=late).answer is Answer.DEAD


def test_a_lease_that_is_over_was_a_death_in_mid_call_and_counts_as_ambiguous(driver: LedgerDriver) -> None:
    driver.claim()
    driver.later(15.1)
    claim = driver.resume()
    assert (claim.answer, claim.attempt, claim.rings) == (Answer.CALL, 2, 1)
    record = driver.record()
    assert (record.ambiguous, record.deaths) == (1, 1)
    assert (record.attempts[0].row, record.attempts[0].ambiguous, record.attempts[0].worker) == (
        "lease_over",
        True,
        "w1",
    )


def test_an_older_code_is_not_called_after_a_death_either_once_there_is_a_newer_one(
    driver: LedgerDriver,
) -> None:
    driver.claim(code=driver.code("older", "1111", purpose="login"))
    driver.accept(driver.claim(code=driver.code("newer", "2222", life=400, purpose="login")))
    driver.later(15.1)
    claim = driver.resume("older")
    assert (claim.answer, claim.reason) == (Answer.BURIED, "superseded")
    assert driver.record("older").ambiguous == 1


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_after_an_ambiguous_attempt_so_many_follow_then_it_is_dead(server: Server, budget: int) -> None:
    driver = LedgerDriver(server.url, ambiguous_retries=budget)
    driver.claim()
    for attempt in range(2, 2 + budget):
        driver.later(15.1)
        assert driver.resume().attempt == attempt
    driver.later(15.1)
    last = driver.resume()
    assert (last.answer, last.reason, last.mobile) == (Answer.BURIED, "ambiguous", MOBILE)
    assert driver.record().ambiguous == 1 + budget
    driver.close()


def test_after_an_outage_a_lease_that_is_over_counts_as_alive_for_a_while(driver: LedgerDriver) -> None:
    """The outcomes that wait to be written land first."""
    driver.claim()
    driver.availability.failed()
    driver.availability.succeeded()
    driver.later(16)
    assert driver.resume().answer is Answer.BUSY
    driver.monotonic += 3.1
    assert driver.resume().answer is Answer.CALL


@pytest.mark.parametrize(("rung", "reason"), [(Symptom.HTTP_503, "expired"), (Symptom.RESET, "ambiguous")])
def test_no_attempt_starts_past_the_codes_life(driver: LedgerDriver, rung: Symptom, reason: str) -> None:
    driver.retry(driver.claim(life=20), 5, symptom=rung)
    driver.later(20.1)
    buried = driver.resume()
    assert (buried.answer, buried.reason) == (Answer.BURIED, reason)
    assert driver.due() is None


def test_without_a_moment_of_its_own_a_code_lives_from_first_sight(driver: LedgerDriver) -> None:
    assert driver.claim(life=None).seconds_left == pytest.approx(driver.settings.code_ttl_seconds, abs=1)


def test_the_default_life_of_a_code_with_an_eta_begins_at_the_eta(driver: LedgerDriver) -> None:
    """A producer's countdown of ten minutes must not outlive its code before it was due."""
    assert driver.claim(life=None, not_before=driver.now + 600).answer is Answer.EARLY
    driver.later(601)
    assert driver.resume().answer is Answer.CALL


def test_a_code_with_an_eta_waits_for_it(driver: LedgerDriver) -> None:
    assert driver.claim(not_before=driver.now + 30).answer is Answer.EARLY
    assert driver.due() == pytest.approx(30, abs=1)
    driver.later(30.1)
    assert driver.upkeep().hinted == 1
    assert driver.resume().answer is Answer.CALL


def test_the_attempts_of_one_life_are_counted(server: Server) -> None:
    driver = LedgerDriver(server.url, max_attempts=2)
    driver.retry(driver.claim(), 1, symptom=None)
    driver.later(1.1)
    driver.retry(driver.resume(), 1, symptom=None)
    driver.later(1.1)
    assert driver.resume().reason == "exhausted"
    driver.close()


def test_one_key_for_two_codes_is_a_conflict_and_touches_nothing(driver: LedgerDriver) -> None:
    first = driver.claim(code=driver.code(code="0042"))
    before: Any = driver.client.hgetall(names.RECORD_PREFIX + "k")
    assert driver.claim(code=driver.code(code="0043")).answer is Answer.CONFLICT
    assert driver.client.hgetall(names.RECORD_PREFIX + "k") == before
    assert driver.accept(first) == "accepted"
    assert driver.claim(code=driver.code(code="0043")).answer is Answer.CONFLICT


def test_a_hint_without_a_record_is_forgotten(driver: LedgerDriver) -> None:
    driver.client.zadd(names.DUE, {"gone": 0})
    driver.client.zadd(names.EXPIRY, {"gone": 0})
    assert driver.resume("gone").answer is Answer.MISSING
    assert driver.due("gone") is None
    assert driver.ledger.record("gone") is None
    assert driver.client.zcard(names.EXPIRY) == 0


def test_a_record_of_a_later_version_is_left_alone(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    driver.client.hset(names.RECORD_PREFIX + "k", "v", names.RECORD_VERSION + 1)
    before: Any = driver.client.hgetall(names.RECORD_PREFIX + "k")
    assert (driver.claim().answer, driver.resume().answer, driver.replay()) == (
        Answer.NEWER,
        Answer.NEWER,
        "newer",
    )
    assert driver.client.hgetall(names.RECORD_PREFIX + "k") == before


def test_scripts_survive_a_script_flush(driver: LedgerDriver) -> None:
    driver.client.script_flush()
    claim = driver.claim()
    driver.client.script_flush()
    assert driver.bury(claim) == "dead"
    driver.client.script_flush()
    assert driver.replay() == "replayed"


def test_an_error_of_redis_tells_no_value(server: Server) -> None:
    driver = LedgerDriver(server.url)
    code = driver.code()
    server.stop()
    try:
        with pytest.raises(RedisUnavailable) as caught:
            driver.claim(code=code)
    finally:
        server.restart()
    assert MOBILE not in str(caught.value)
    assert "0042" not in str(caught.value)
    assert driver.availability.lenience_seconds() == driver.settings.reconnect_grace_seconds
    driver.close()


@pytest.mark.parametrize("state", ["calling", "accepted", "waiting", "replayed"])
def test_only_a_dead_code_can_be_replayed(driver: LedgerDriver, state: str) -> None:
    driver.in_state(state)
    due = driver.moment()
    assert driver.replay() == "not_dead"
    assert driver.moment() == due
    assert driver.replay("never") == "missing"


def test_a_replay_takes_it_out_of_every_index_and_gives_a_fresh_budget(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    assert driver.indexes() >= {
        "",
        ":reason:permanent",
        ":code:4050",
        ":scope:account",
        ":ambiguous:no",
        ":ends:8000",
        ":expires",
    }
    assert driver.replay() == "replayed"
    assert driver.indexes() == set()
    assert set(driver.client.hvals(f"{names.DEAD}:counts")) <= {"0"}
    assert driver.due() == pytest.approx(0, abs=1)
    claim = driver.resume()
    assert (claim.attempt, claim.submissions, claim.replays, claim.rings) == (2, 1, 1, 0)
    entries: Any = driver.client.xrange(names.AUDIT)
    ((_, audit),) = entries
    assert (audit["action"], audit["key"], audit["operator"], audit["reason"]) == (
        "replay",
        "k",
        "ops",
        "permanent",
    )


def test_executed_twice_with_one_token_a_replay_counts_once(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    assert [driver.replay(token="same") for _ in range(2)] == ["replayed"] * 2
    assert driver.record().replays == 1
    driver.bury(driver.resume())
    assert driver.replay(token="same") == "replayed"
    assert driver.state() == "dead"


def test_an_expired_code_is_replayed_only_with_a_new_life(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    driver.later(301)
    assert driver.replay() == "expired"
    assert driver.replay(life_seconds=60) == "replayed"
    assert driver.resume().seconds_left == pytest.approx(60, abs=1)


def test_a_code_that_may_have_rung_is_replayed_only_by_wish(driver: LedgerDriver) -> None:
    driver.in_state("fenced")
    driver.later(15.1)
    assert driver.resume().reason == "ambiguous"
    assert driver.replay() == "ambiguous"
    assert driver.replay(ambiguous=True) == "replayed"
    assert driver.resume().rings == 0
    assert driver.record().ambiguous == 2


REFUSED = Refused(
    key="login:7", reason="code must be a string", mobile=MOBILE, raw='[["13800138000", 42], {}]'
)


def test_a_refused_message_is_a_dead_letter_with_its_bytes(driver: LedgerDriver) -> None:
    assert driver.refuse(REFUSED) == (Refusal.NEW, "login:7")
    record = driver.record("login:7")
    assert (record.state, record.reason, record.detail, record.raw) == (
        "dead",
        "bad_input",
        REFUSED.reason,
        REFUSED.raw,
    )
    assert (record.mobile, record.task_id, record.scope, record.sendable) == (
        MOBILE,
        "task-1",
        "message",
        False,
    )
    assert driver.indexes("login:7") >= {"", ":reason:bad_input", ":scope:message"}
    assert driver.ttl("login:7") == -1
    assert driver.replay("login:7") == "unsendable"


def test_the_same_refused_message_again_is_one_dead_letter(driver: LedgerDriver) -> None:
    driver.refuse(REFUSED)
    assert driver.refuse(REFUSED) == (Refusal.KNOWN, "login:7")
    assert driver.client.zcard(names.DEAD) == 1


def test_a_refused_message_never_touches_the_record_of_another_code(driver: LedgerDriver) -> None:
    """Nor that under its task id; the digest of its bytes is always its own."""
    driver.claim("login:7")
    driver.claim("task-1")
    answer, key = driver.refuse(REFUSED)
    assert answer is Refusal.NEW
    assert key.startswith("id:")
    assert (driver.state("login:7"), driver.state("task-1"), driver.state(key)) == (
        "calling",
        "calling",
        "dead",
    )


@pytest.mark.parametrize("field", ["expires_at", "not_before"])
def test_what_lies_too_far_ahead_by_the_servers_clock_leaves_no_trace(
    driver: LedgerDriver, field: str
) -> None:
    """The message can then be refused under its own key."""
    moment: dict[str, Any] = {field: driver.now + 3700}
    far = dataclasses.replace(driver.code(), **moment)
    claim = driver.claim(code=far)
    assert (claim.answer, claim.reason) == (Answer.TOO_FAR, {"not_before": "eta"}.get(field, field))
    assert set(driver.client.keys("*")) <= {names.DIGEST_KEY}
    driver.later(200)
    assert driver.claim(code=far).answer in {Answer.CALL, Answer.EARLY}
    driver.later(-200)
    assert driver.claim(code=far).answer in {Answer.BUSY, Answer.EARLY}
