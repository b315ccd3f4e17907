"""The ledger's rules for `claim`, `replay` and `refuse`: who may call, and what becomes of what may not."""

from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from config.replies import Symptom
from tests.support.ledger_driver import MOBILE, Walk
from worker.embedded.server import Server
from worker.ledger import LedgerUnavailable
from worker.ledger.claim import Answer
from worker.message import Refused


@pytest.fixture
def walk(server: Server) -> Iterator[Walk]:
    walk = Walk(server.url)
    yield walk
    walk.close()


def test_the_first_sight_makes_a_record_and_may_call(walk: Walk) -> None:
    claim = walk.claim()
    assert claim.answer is Answer.CALL
    assert claim.voice_code is not None
    assert (claim.voice_code.mobile, claim.voice_code.code) == (MOBILE, "0042")
    assert (claim.attempt, claim.attempt_of_life, claim.since_ambiguous, claim.task_id) == (
        1,
        1,
        None,
        "task-k",
    )
    assert claim.seconds_left == pytest.approx(300, abs=1)
    assert walk.state() == "calling"
    assert walk.due() == pytest.approx(15, abs=1)


def test_one_lease_has_one_caller(walk: Walk) -> None:
    walk.claim()
    walk.later(14.8)
    assert walk.claim().answer is Answer.BUSY
    assert walk.resume().answer is Answer.BUSY


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
def test_a_duplicate_hears_how_the_code_stands(walk: Walk, state: str, answer: Answer) -> None:
    walk.in_state(state)
    assert walk.claim().answer is answer


def test_a_waiting_code_may_be_called_once_its_moment_has_come(walk: Walk) -> None:
    walk.in_state("waiting")
    walk.later(4.5)
    assert walk.resume().answer is Answer.EARLY
    walk.later(0.6)
    claim = walk.resume()
    assert (claim.answer, claim.attempt) == (Answer.CALL, 2)


def test_executed_twice_with_one_token_a_claim_answers_the_same(walk: Walk) -> None:
    """redis-py repeats a command whose answer it lost: the claim must not meet itself and say busy."""
    first, again = (walk.claim(token="same") for _ in range(2))
    assert (first.answer, again.answer) == (Answer.CALL, Answer.CALL)
    assert (first.attempt, again.attempt) == (1, 1)
    assert len(walk.record().attempts) == 1


def test_executed_twice_a_claim_that_buries_says_so_twice(walk: Walk) -> None:
    late = walk.code(life=-1)
    first, again = (walk.claim(token="same", code=late) for _ in range(2))
    assert (first.answer, first.reason) == (again.answer, again.reason) == (Answer.BURIED, "expired")
    assert walk.claim(code=late).answer is Answer.DEAD


def test_a_lease_that_is_over_was_a_death_in_mid_call_and_counts_as_ambiguous(walk: Walk) -> None:
    walk.claim()
    walk.later(15.1)
    claim = walk.resume()
    assert (claim.answer, claim.attempt, claim.since_ambiguous) == (Answer.CALL, 2, 1)
    record = walk.record()
    assert (record.ambiguous, record.deaths) == (1, 1)
    assert (record.attempts[0].row, record.attempts[0].ambiguous, record.attempts[0].worker) == (
        "lease_over",
        True,
        "w1",
    )


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_after_an_ambiguous_attempt_so_many_follow_then_it_is_dead(server: Server, budget: int) -> None:
    walk = Walk(server.url, ambiguous_retries=budget)
    walk.claim()
    for attempt in range(2, 2 + budget):
        walk.later(15.1)
        assert walk.resume().attempt == attempt
    walk.later(15.1)
    last = walk.resume()
    assert (last.answer, last.reason, last.mobile) == (Answer.BURIED, "ambiguous", MOBILE)
    assert walk.record().ambiguous == 1 + budget
    walk.close()


def test_after_an_outage_a_lease_that_is_over_counts_as_alive_for_a_while(walk: Walk) -> None:
    """The outcomes that wait to be written land first."""
    walk.claim()
    walk.availability.failed()
    walk.availability.succeeded()
    walk.later(16)
    assert walk.resume().answer is Answer.BUSY
    walk.monotonic += 3.1
    assert walk.resume().answer is Answer.CALL


@pytest.mark.parametrize(("rung", "reason"), [(Symptom.HTTP_503, "expired"), (Symptom.RESET, "ambiguous")])
def test_no_attempt_starts_past_the_codes_life(walk: Walk, rung: Symptom, reason: str) -> None:
    walk.retry(walk.claim(life=20), 5, symptom=rung)
    walk.later(20.1)
    buried = walk.resume()
    assert (buried.answer, buried.reason) == (Answer.BURIED, reason)
    assert walk.due() is None


def test_without_a_moment_of_its_own_a_code_lives_from_first_sight(walk: Walk) -> None:
    assert walk.claim(life=None).seconds_left == pytest.approx(walk.settings.code_ttl_seconds, abs=1)


def test_the_default_life_of_a_code_with_an_eta_begins_at_the_eta(walk: Walk) -> None:
    """A producer's countdown of ten minutes must not outlive its code before it was due."""
    assert walk.claim(life=None, not_before=walk.now + 600).answer is Answer.EARLY
    walk.later(601)
    assert walk.resume().answer is Answer.CALL


def test_a_code_with_an_eta_waits_for_it(walk: Walk) -> None:
    assert walk.claim(not_before=walk.now + 30).answer is Answer.EARLY
    assert walk.due() == pytest.approx(30, abs=1)
    walk.later(30.1)
    assert walk.upkeep().hinted == 1
    assert walk.resume().answer is Answer.CALL


def test_the_attempts_of_one_life_are_counted(server: Server) -> None:
    walk = Walk(server.url, max_attempts=2)
    walk.retry(walk.claim(), 1)
    walk.later(1.1)
    walk.retry(walk.resume(), 1)
    walk.later(1.1)
    assert walk.resume().reason == "exhausted"
    walk.close()


def test_one_key_for_two_codes_is_a_conflict_and_touches_nothing(walk: Walk) -> None:
    first = walk.claim(code=walk.code(code="0042"))
    before: Any = walk.client.hgetall(names.RECORD_PREFIX + "k")
    assert walk.claim(code=walk.code(code="0043")).answer is Answer.CONFLICT
    assert walk.client.hgetall(names.RECORD_PREFIX + "k") == before
    assert walk.accept(first) == "accepted"
    assert walk.claim(code=walk.code(code="0043")).answer is Answer.CONFLICT


def test_a_hint_without_a_record_is_forgotten(walk: Walk) -> None:
    walk.client.zadd(names.DUE, {"gone": 0})
    walk.client.zadd(names.EXPIRY, {"gone": 0})
    assert walk.resume("gone").answer is Answer.MISSING
    assert walk.due("gone") is None
    assert walk.ledger.record("gone") is None
    assert walk.client.zcard(names.EXPIRY) == 0


def test_a_record_of_a_later_version_is_left_alone(walk: Walk) -> None:
    walk.in_state("dead")
    walk.client.hset(names.RECORD_PREFIX + "k", "v", names.RECORD_VERSION + 1)
    before: Any = walk.client.hgetall(names.RECORD_PREFIX + "k")
    assert (walk.claim().answer, walk.resume().answer, walk.replay()) == (Answer.NEWER, Answer.NEWER, "newer")
    assert walk.client.hgetall(names.RECORD_PREFIX + "k") == before


def test_scripts_survive_a_script_flush(walk: Walk) -> None:
    walk.client.script_flush()
    claim = walk.claim()
    walk.client.script_flush()
    assert walk.bury(claim) == "dead"
    walk.client.script_flush()
    assert walk.replay() == "replayed"


def test_an_error_of_redis_tells_no_value(server: Server) -> None:
    walk = Walk(server.url)
    code = walk.code()
    server.stop()
    try:
        with pytest.raises(LedgerUnavailable) as caught:
            walk.claim(code=code)
    finally:
        server.restart()
    assert MOBILE not in str(caught.value)
    assert "0042" not in str(caught.value)
    assert walk.availability.lenience_seconds() == walk.settings.reconnect_grace_seconds
    walk.close()


@pytest.mark.parametrize("state", ["calling", "accepted", "waiting", "replayed"])
def test_only_a_dead_code_can_be_replayed(walk: Walk, state: str) -> None:
    walk.in_state(state)
    due = walk.moment()
    assert walk.replay() == "not_dead"
    assert walk.moment() == due
    assert walk.replay("never") == "missing"


def test_a_replay_takes_it_out_of_every_index_and_gives_a_fresh_budget(walk: Walk) -> None:
    walk.in_state("dead")
    assert walk.indexes() >= {
        "",
        ":reason:permanent",
        ":code:4050",
        ":scope:account",
        ":ambiguous:no",
        ":ends:8000",
        ":expires",
    }
    assert walk.replay() == "replayed"
    assert walk.indexes() == set()
    assert set(walk.client.hvals(f"{names.DEAD}:counts")) <= {"0"}
    assert walk.due() == pytest.approx(0, abs=1)
    claim = walk.resume()
    assert (claim.attempt, claim.attempt_of_life, claim.replays, claim.since_ambiguous) == (2, 1, 1, None)
    entries: Any = walk.client.xrange(names.AUDIT)
    ((_, audit),) = entries
    assert (audit["action"], audit["key"], audit["operator"], audit["reason"]) == (
        "replay",
        "k",
        "ops",
        "permanent",
    )


def test_executed_twice_with_one_token_a_replay_counts_once(walk: Walk) -> None:
    walk.in_state("dead")
    assert [walk.replay(token="same") for _ in range(2)] == ["replayed"] * 2
    assert walk.record().replays == 1
    walk.bury(walk.resume())
    assert walk.replay(token="same") == "replayed"
    assert walk.state() == "dead"


def test_an_expired_code_is_replayed_only_with_a_new_life(walk: Walk) -> None:
    walk.in_state("dead")
    walk.later(301)
    assert walk.replay() == "expired"
    assert walk.replay(life_seconds=60) == "replayed"
    assert walk.resume().seconds_left == pytest.approx(60, abs=1)


def test_a_code_that_may_have_rung_is_replayed_only_by_wish(walk: Walk) -> None:
    walk.in_state("fenced")
    walk.later(15.1)
    assert walk.resume().reason == "ambiguous"
    assert walk.replay() == "ambiguous"
    assert walk.replay(ambiguous=True) == "replayed"
    assert walk.resume().since_ambiguous is None
    assert walk.record().ambiguous == 2


REFUSED = Refused(
    key="login:7", reason="code must be a string", mobile=MOBILE, raw='[["13800138000", 42], {}]'
)


def test_a_refused_message_is_a_dead_letter_with_its_bytes(walk: Walk) -> None:
    assert walk.refuse(REFUSED) == (True, "login:7")
    record = walk.record("login:7")
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
    assert walk.indexes("login:7") >= {"", ":reason:bad_input", ":scope:message"}
    assert walk.ttl("login:7") == -1
    assert walk.replay("login:7") == "unsendable"


def test_the_same_refused_message_again_is_one_dead_letter(walk: Walk) -> None:
    walk.refuse(REFUSED)
    assert walk.refuse(REFUSED) == (False, "login:7")
    assert walk.client.zcard(names.DEAD) == 1


def test_a_refused_message_never_touches_the_record_of_another_code(walk: Walk) -> None:
    """Nor that under its task id; the digest of its bytes is always its own."""
    walk.claim("login:7")
    walk.claim("task-1")
    new, key = walk.refuse(REFUSED)
    assert new
    assert key.startswith("id:")
    assert (walk.state("login:7"), walk.state("task-1"), walk.state(key)) == ("calling", "calling", "dead")
