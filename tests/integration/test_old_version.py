"""Version 0.1.0 and this one on one Redis: the scripts of 0.1.0 run beside ours."""

import collections
import random
from collections.abc import Iterator
from typing import Any

import pytest

from config import names
from tests.support.ledger_driver import LedgerDriver
from tests.support.old_version import OldLedger, digest
from tests.support.sandbox import Sandbox
from worker.ledger.claim import Answer
from worker.message import VoiceCode
from worker.store import keys

CODES = 1_000
CLAIMS_AT_MOST = 20_000


@pytest.fixture
def driver(sandbox: Sandbox) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(sandbox.url)
    yield driver
    driver.close()


@pytest.fixture
def old(driver: LedgerDriver) -> OldLedger:
    return OldLedger(driver.client)


def fields(driver: LedgerDriver, key: str = "k") -> dict[str, str]:
    record: Any = driver.client.hgetall(keys.record(key))
    return dict(record)


def test_a_worker_of_0_1_0_leaves_our_record_alone(driver: LedgerDriver, old: OldLedger) -> None:
    """It would take a duplicate for a conflict, because the digest is not the one that it makes."""
    code = driver.code()
    driver.in_state("waiting")
    before = fields(driver)

    assert old.claim(code, token="old") == ["newer"]
    assert old.resume("k", token="old") == ["newer"]

    assert fields(driver) == before
    assert driver.due() is not None


def test_0_1_0_alone_does_not_look_again_and_again_at_our_records(
    driver: LedgerDriver, old: OldLedger
) -> None:
    """After a return to it they stay as they are until a worker of this version comes back."""
    driver.in_state("waiting")
    before = fields(driver)
    driver.later(600)
    old.clock_offset = driver.ledger.clock_offset

    assert old.upkeep(token="old") == [0, [], [], 0]

    assert fields(driver) == before
    assert driver.client.llen(names.HINTS) == driver.client.llen(names.QUEUE) == 0
    assert [buried.reason for buried in driver.upkeep().buried] == ["expired"]


@pytest.mark.parametrize("end", ["accepted", "dead", "expired", "cancelled", "replayed"])
def test_a_code_of_0_1_0_leaves_its_sets_however_it_ends_here(
    driver: LedgerDriver, old: OldLedger, end: str
) -> None:
    old.claim(driver.code(), token="old-1")
    old.finish("k", token="old-1", attempt=1, outcome="retry")
    driver.later(2)
    assert driver.client.zcard(names.DUE_0_1_0) == 1
    if end == "expired":
        driver.later(600)
        driver.upkeep()
    elif end == "cancelled":
        driver.ledger.cancel("k")
    elif end == "accepted":
        driver.accept(driver.resume())
    else:
        driver.bury(driver.resume())
    if end == "replayed":
        driver.replay()
        assert driver.client.zrange(names.DUE_0_1_0, 0, -1) == ["k"]
        driver.accept(driver.resume())
    assert driver.client.exists(*keys.LIVES, *keys.LIVES_0_1_0) == 0


def test_a_rerun_by_0_1_0_after_acceptance_is_no_conflict_either(
    driver: LedgerDriver, old: OldLedger
) -> None:
    driver.in_state("accepted")

    assert old.claim(driver.code(), token="old") == ["newer"]
    assert driver.state() == "accepted"


def test_our_worker_goes_on_with_a_code_of_0_1_0_and_0_1_0_with_it_again(
    driver: LedgerDriver, old: OldLedger
) -> None:
    """While it is unfinished its record keeps its version: either may carry it on."""
    code = driver.code()
    assert old.claim(code, token="old-1")[0] == "call"
    old.finish("k", token="old-1", attempt=1, outcome="retry")
    driver.later(2)

    ours = driver.resume()
    assert (ours.answer, ours.attempt) == (Answer.CALL, 2)
    driver.retry(ours, seconds=1)
    driver.later(2)
    old.clock_offset = driver.ledger.clock_offset

    assert fields(driver)["v"] == "1"
    assert old.resume("k", token="old-2")[:2] == ["call", 3]


@pytest.mark.parametrize("state", ["calling", "accepted"])
def test_a_duplicate_of_a_code_of_0_1_0_is_no_conflict(
    driver: LedgerDriver, old: OldLedger, state: str
) -> None:
    code = driver.code()
    old.claim(code, token="old-1")
    if state == "accepted":
        old.finish("k", token="old-1", attempt=1, outcome="accepted")

    assert driver.claim(code=code).answer is {"calling": Answer.BUSY, "accepted": Answer.ACCEPTED}[state]


def test_another_number_under_a_key_of_0_1_0_is_a_conflict(driver: LedgerDriver, old: OldLedger) -> None:
    old.claim(driver.code(), token="old-1")

    other = VoiceCode(key="k", mobile="13911112222", code="0042", expires_at=driver.now + 300)
    assert driver.claim(code=other).answer is Answer.CONFLICT
    assert driver.claim(code=driver.code(code="7777")).answer is Answer.CONFLICT


def test_accepted_by_us_a_code_of_0_1_0_keeps_no_digest_without_a_key(
    driver: LedgerDriver, old: OldLedger
) -> None:
    code = driver.code()
    old.claim(code, token="old-1")
    driver.later(16)
    driver.accept(driver.resume())

    record = fields(driver)
    assert digest(code) not in record.values()
    assert record["v"] == str(names.RECORD_VERSION)
    assert old.claim(code, token="old-2") == ["newer"]


def test_a_thousand_codes_side_by_side(driver: LedgerDriver, old: OldLedger) -> None:
    """Each ends once: accepted by one call, or dead for its own reason. None is in between."""
    drawn = random.Random(20261125)
    now = driver.now
    codes = [
        VoiceCode(key=f"k{i}", mobile=f"138{i:08d}", code=f"{i:04d}", expires_at=now + 250)
        for i in range(CODES)
    ]
    accepted: collections.Counter[str] = collections.Counter()
    looks: list[tuple[str, VoiceCode | None]] = [(code.key, code) for code in codes for _ in range(2)]
    drawn.shuffle(looks)
    claims = 0
    while looks and claims < CLAIMS_AT_MOST:
        claims += 1
        key, code = looks.pop()
        outcome = drawn.choices(["accepted", "retry", "dead", "death"], [60, 25, 5, 10])[0]
        if drawn.random() < 0.5:
            answer = by_the_old(old, driver.token(), key, code, outcome)
        else:
            answer = by_us(driver, key, code, outcome)
        assert answer != "conflict"
        if answer == "newer" and code is not None:
            looks.insert(0, (key, code))  # 0.1.0 leaves the message, and it comes back
        accepted[key] += answer == "accepted now"
        if not looks:
            driver.later(20)
            old.clock_offset = driver.ledger.clock_offset
            while True:
                rounds = [lambda: old.upkeep(token=driver.token()), driver.upkeep]
                for round_of_upkeep in drawn.sample(rounds, 2):
                    round_of_upkeep()
                hints: Any = driver.client.lrange(names.HINTS, 0, -1)
                hints += driver.client.lrange(names.QUEUE, 0, -1)
                driver.client.delete(names.HINTS, names.QUEUE)
                if not hints:
                    break
                looks += [(hint.split('[[\\"')[1].split('\\"')[0], None) for hint in hints]
    ends = {code.key: driver.state(code.key) for code in codes}
    assert collections.Counter(ends.values()).keys() == {"accepted", "dead"}
    assert driver.client.exists(*keys.LIVES, *keys.LIVES_0_1_0) == 0
    dead = {key for key, state in ends.items() if state == "dead"}
    queued: Any = driver.client.zrange(names.DEAD, 0, -1)
    assert set(queued) == dead
    for key, state in ends.items():
        record = driver.record(key)
        assert (accepted[key] > 0) == (state == "accepted")
        assert accepted[key] <= 1 + record.ambiguous


def by_the_old(old: OldLedger, token: str, key: str, code: VoiceCode | None, outcome: str) -> str:
    """Take one look as a worker of 0.1.0 does."""
    answer, *rest = old.claim(code, token=token) if code else old.resume(key, token=token)
    if answer != "call" or outcome == "death":
        return str(answer)
    reason = "permanent" if outcome == "dead" else ""
    told = old.finish(key, token=token, attempt=rest[0], outcome=outcome, reason=reason)[0]
    return "accepted now" if outcome == "accepted" else str(told)


def by_us(driver: LedgerDriver, key: str, code: VoiceCode | None, outcome: str) -> str:
    """Take one look as a worker of this version does."""
    claim = driver.claim(code=code) if code else driver.resume(key)
    if claim.answer is not Answer.CALL or outcome == "death":
        return claim.answer.value
    steps = {"accepted": driver.accept, "retry": driver.retry, "dead": driver.bury}
    told = steps[outcome](claim)
    return "accepted now" if outcome == "accepted" else told
