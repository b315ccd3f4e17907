"""A person is taken out of everything, and nobody is called for what is left."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import names
from tests.integration.test_digests import dumped
from tests.support.ledger_driver import MOBILE, LedgerDriver
from tests.support.workers import enqueue, stock_producer
from worker.embedded.server import Server
from worker.erasure import Erased, Erasure
from worker.failure_queue import FailureQueue, Filter
from worker.ledger.claim import Answer
from worker.message import Refused, VoiceCode
from worker.store import keys

OTHER = "13911112222"
SEAL_KEY = "2026-11:" + base64.urlsafe_b64encode(b"erase" * 6 + b"xx").decode().rstrip("=")


@pytest.fixture
def driver(server: Server, tmp_path: Path) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url, digest_key="a key of these tests", spill_dir=tmp_path)
    driver.client.flushall()
    yield driver
    driver.close()


def erasure(driver: LedgerDriver) -> Erasure:
    offset = driver.ledger.clock_offset
    return Erasure(
        driver.client, driver.settings, operator="ops", run="r", clock_offset=offset, sleep=lambda _: None
    )


def fields(driver: LedgerDriver, key: str = "k") -> dict[str, str]:
    found: Any = driver.client.hgetall(keys.record(key))
    return dict(found)


def traces(driver: LedgerDriver) -> list[str]:
    """Return what of the person can be found in Redis: number, its masked form, digest, code."""
    everything = dumped(driver.client)
    sought = (MOBILE, "138****8000", "0042", driver.ledger.digests.number(MOBILE))
    return [text for text in sought if text in everything]


@pytest.mark.parametrize("state", ["waiting", "accepted", "dead", "replayed"])
def test_what_ended_or_waits_is_erased_at_once(driver: LedgerDriver, state: str) -> None:
    code = driver.code()
    driver.in_state(state)

    done = erasure(driver).number(MOBILE)

    assert (done.records, done.in_call, done.total) == (1, 0, 1)
    assert traces(driver) == []
    assert driver.due() is None
    assert driver.indexes() == set()
    assert 0 < driver.ttl() <= 86_400
    # A late duplicate is known, also if it asks for something else.
    answer = Answer.ACCEPTED if state == "accepted" else Answer.DEAD
    assert driver.claim(code=code).answer is driver.claim(code=driver.code(code="7777")).answer is answer


@pytest.mark.parametrize("end", ["accept", "retry", "bury", "lease"])
def test_what_is_being_called_is_erased_at_its_end(driver: LedgerDriver, end: str) -> None:
    claim = driver.claim()
    done = erasure(driver).number(MOBILE)
    assert (done.records, done.in_call) == (0, 1)

    if end == "lease":
        driver.later(16)
        assert driver.resume().answer is Answer.BURIED
    else:
        getattr(driver, end)(claim)

    assert traces(driver) == []
    assert driver.state() == ("accepted" if end == "accept" else "dead")
    assert driver.due() is None
    assert driver.indexes() == set()
    assert driver.resume().answer in {Answer.ACCEPTED, Answer.DEAD}


def test_a_code_that_expires_in_call_is_erased_by_upkeep(driver: LedgerDriver) -> None:
    driver.claim()
    erasure(driver).number(MOBILE)
    driver.later(400)
    driver.upkeep()

    assert traces(driver) == []


def test_others_are_left_alone(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    other = VoiceCode(key="other", mobile=OTHER, code="7777", expires_at=driver.now + 300)
    driver.bury(driver.claim(code=other))
    before = fields(driver, "other")

    erasure(driver).number(MOBILE)

    assert fields(driver, "other") == before
    queue = FailureQueue(driver.client, driver.settings, operator="ops")
    assert list(queue.keys(Filter())) == ["other"]
    assert queue.stats().distinct_numbers == 1


def test_messages_that_nobody_claimed_go_too(driver: LedgerDriver, server: Server) -> None:
    producer = stock_producer(server.url)
    enqueue(producer, MOBILE, "0042", key="mine")
    enqueue(producer, OTHER, "7777", key="other")
    spaced = json.dumps([[f"+86 {MOBILE[:3]} {MOBILE[3:]}", "0042"], {"key": "plain"}, {}])
    driver.client.lpush(names.QUEUE, json.dumps({"body": spaced, "properties": {}}))
    item = json.dumps({"body": base64.b64encode(spaced.encode()).decode()})
    driver.client.hset(names.UNACKED, "tag", json.dumps([json.loads(item), "q", "q"]))
    driver.client.zadd(names.UNACKED_INDEX, {"tag": 1})

    done = erasure(driver).number(MOBILE)

    assert done.messages == 3
    assert driver.client.llen(names.QUEUE) == 1
    assert driver.client.hlen(names.UNACKED) == driver.client.zcard(names.UNACKED_INDEX) == 0


def test_refused_messages_go_too(driver: LedgerDriver) -> None:
    driver.refuse(Refused(key="k", reason="wrong", mobile="", raw=f'[["{MOBILE}", 42, "0042"]]'))

    assert erasure(driver).number(MOBILE).records == 1
    assert traces(driver) == []


def test_spill_files_and_exports_lose_the_lines(driver: LedgerDriver, tmp_path: Path) -> None:
    driver.in_state("dead")
    other = VoiceCode(key="other", mobile=OTHER, code="7777", expires_at=driver.now + 300)
    driver.bury(driver.claim(code=other))
    queue = FailureQueue(driver.client, driver.settings, operator="ops")
    for name, unmasked in (("full", True), ("masked", False)):
        queue.export(tmp_path / f"{name}.jsonl", Filter(), unmasked=unmasked)

    done = erasure(driver).number(MOBILE)

    assert done.lines == 2
    for name in ("full", "masked"):
        path = tmp_path / f"{name}.jsonl"
        (line,) = path.read_text("utf-8").splitlines()
        assert json.loads(line)["key"] == "other"
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def later(server: Server, tmp_path: Path) -> Iterator[Any]:
    """Return a driver after the digests' key has changed."""
    made: list[LedgerDriver] = []

    def open_(**values: Any) -> LedgerDriver:
        made.append(
            LedgerDriver(server.url, spill_dir=tmp_path, **{"digest_key": "a key of later tests", **values})
        )
        return made[-1]

    yield open_
    for one in made:
        one.close()


@pytest.mark.parametrize("state", ["dead", "waiting"])
def test_a_sealed_record_is_found_though_its_digest_has_an_older_key(
    later: Any, tmp_path: Path, state: str
) -> None:
    before, after = (later(seal_keys=SEAL_KEY, digest_key=f"a key of digests: {number}") for number in (1, 2))
    before.in_state(state)
    FailureQueue(before.client, before.settings, operator="ops").export(
        tmp_path / "full.jsonl", Filter(), unmasked=True
    )

    done = erasure(after).number(MOBILE)

    assert (done.records, done.lines, done.unsure) == (1, int(state == "dead"), 0)
    assert "sealed" not in fields(after)
    assert "mobile" not in fields(after)
    assert not (tmp_path / "full.jsonl").read_text("utf-8")


def test_what_only_a_missing_key_could_tell_is_counted(driver: LedgerDriver, later: Any) -> None:
    """An erase that said "nothing was found" would be believed."""
    driver.in_state("accepted")

    assert erasure(later(digest_key="quite another key")).number(MOBILE).unsure == 1
    assert erasure(later(digest_key="quite another key")).number("13700137000").unsure == 0
    both = later(digest_key="quite another key,a key of these tests")
    assert (erasure(both).number(MOBILE).records, erasure(both).number(MOBILE).unsure) == (1, 0)


def test_one_key_is_erased_by_its_key(driver: LedgerDriver) -> None:
    driver.in_state("dead", "k")
    driver.in_state("dead", "l")

    assert erasure(driver).key("k").records == 1
    assert fields(driver, "l")["mobile"] == MOBILE
    assert "mobile" not in fields(driver, "k")


def test_it_is_audited_without_the_number(driver: LedgerDriver) -> None:
    driver.in_state("dead")
    erasure(driver).number(MOBILE)
    lines = list(FailureQueue(driver.client, driver.settings, operator="ops").audit())

    assert [(line.action, line.operator, line.key) for line in lines[:1]] == [("erase", "ops", "")]
    assert "1 records" in lines[0].detail
    assert MOBILE not in str(lines)


def test_a_second_run_finds_nothing(driver: LedgerDriver) -> None:
    driver.in_state("accepted")
    assert erasure(driver).number(MOBILE).total == 1
    assert erasure(driver).number(MOBILE) == Erased(
        run="r", records=0, in_call=0, messages=0, lines=0, newer=0
    )
