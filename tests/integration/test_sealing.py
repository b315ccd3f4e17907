"""Sealed in Redis and on the wire: called all the same, and nothing in clear anywhere."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import names
from config.settings import load
from tests.integration.test_digests import dumped
from tests.support.ledger_driver import MOBILE, LedgerDriver
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue, Filter
from worker.failure_queue.retirement import Retirement
from worker.ledger.claim import Answer
from worker.sealing import Seals, seals_of
from worker.sealing.reseal import count_by_key, reseal
from worker.store import keys

OLD, NEW = (
    f"{name}:{base64.urlsafe_b64encode(name.encode() * 5)[:43].decode()}" for name in ("2025-11", "2026-11")
)
SECRET = "a key of the digests in these tests"
SEALED_CODE = "482913"


def seals(*given: str) -> Seals:
    found = seals_of(load(_env_file=None, seal_keys=",".join(given)))
    assert found is not None
    return found


@pytest.fixture
def open_with(server: Server) -> Iterator[Callable[..., LedgerDriver]]:
    """Return a driver with these keys of the seals, the newest first."""
    with server.client() as client:
        client.flushall()
    drivers: list[LedgerDriver] = []

    def open_(*given: str) -> LedgerDriver:
        drivers.append(LedgerDriver(server.url, digest_key=SECRET, seal_keys=",".join(given) or None))
        return drivers[-1]

    yield open_
    for driver in drivers:
        driver.close()


def fields(driver: LedgerDriver, key: str = "k") -> dict[str, str]:
    found: Any = driver.client.hgetall(keys.record(key))
    return dict(found)


@pytest.mark.parametrize("state", ["calling", "waiting", "dead", "replayed", "accepted"])
def test_no_state_has_number_or_code_in_clear(open_with: Callable[..., LedgerDriver], state: str) -> None:
    driver = open_with(NEW)
    driver.claim(code=driver.code(code=SEALED_CODE, purpose="login"))
    driver.client.flushdb()
    code = driver.code(code=SEALED_CODE, purpose="login")
    claim = driver.claim(code=code)
    steps: dict[str, list[Callable[[], object]]] = {
        "calling": [],
        "waiting": [lambda: driver.retry(claim)],
        "dead": [lambda: driver.bury(claim)],
        "replayed": [lambda: driver.bury(claim), driver.replay],
        "accepted": [lambda: driver.accept(claim)],
    }
    for step in steps[state]:
        step()

    everything = dumped(driver.client)
    assert MOBILE not in everything
    assert SEALED_CODE not in everything
    assert fields(driver)["mobile"] == "138****8000"
    assert ("sealed" in fields(driver)) == (state != "accepted")


def test_a_hint_opens_what_a_message_sealed(open_with: Callable[..., LedgerDriver]) -> None:
    driver = open_with(NEW)
    driver.retry(driver.claim(), 1)
    driver.later(2)
    claim = driver.resume()

    assert claim.voice_code is not None
    assert (claim.voice_code.mobile, claim.voice_code.code) == (MOBILE, "0042")


def test_the_producers_own_pair_is_kept(open_with: Callable[..., LedgerDriver]) -> None:
    driver = open_with(NEW)
    sealed = seals(NEW).seal(MOBILE, "0042", key="k")
    claim = driver.claim(code=driver.code(sealed=sealed))

    assert fields(driver)["sealed"] == sealed
    assert claim.voice_code is not None
    assert claim.voice_code.mobile == MOBILE


def test_a_duplicate_under_another_pair_calls_what_the_record_holds(
    open_with: Callable[..., LedgerDriver],
) -> None:
    driver = open_with(NEW)
    driver.retry(driver.claim(), 1)
    driver.later(2)

    assert driver.claim().answer is Answer.CALL
    assert driver.claim(code=driver.code(code="7777")).answer is Answer.CONFLICT


def test_a_pair_that_was_moved_to_another_record_is_not_called(
    open_with: Callable[..., LedgerDriver],
) -> None:
    driver = open_with(NEW)
    driver.retry(driver.claim("mine"), 1)
    driver.retry(driver.claim("yours"), 1)
    driver.client.hset(keys.record("yours"), "sealed", fields(driver, "mine")["sealed"])
    driver.later(2)

    assert driver.resume("yours").voice_code is None


def test_through_a_rotation_every_record_stays_open(open_with: Callable[..., LedgerDriver]) -> None:
    before, during, after = open_with(OLD), open_with(NEW, OLD), open_with(NEW)
    for state in ("waiting", "dead"):
        before.in_state(state, state)
    during.in_state("waiting", "newer")
    assert count_by_key(before.client) == {"2025-11": 2, "2026-11": 1}
    during.later(10)
    assert during.resume("waiting").voice_code is not None

    assert sorted(reseal(during.client, seals(NEW, OLD))) == ["resealed", "resealed"]
    assert count_by_key(during.client) == {"2026-11": 3}
    assert list(reseal(during.client, seals(NEW, OLD))) == []
    after.later(10)
    assert after.replay("dead", superseded=True) == "replayed"
    found = after.resume("dead").voice_code
    assert found is not None
    assert found.mobile == MOBILE


@pytest.mark.parametrize("state", ["waiting", "dead", "calling"])
def test_records_of_before_there_was_a_key_are_sealed_too(
    open_with: Callable[..., LedgerDriver], state: str
) -> None:
    before, after = open_with(), open_with(NEW)
    claim = before.claim(code=before.code(code=SEALED_CODE, purpose="login"))
    if state == "waiting":
        before.retry(claim)
    if state == "dead":
        before.bury(claim)
    assert count_by_key(before.client) == {"in clear": 1}

    assert list(reseal(after.client, seals(NEW))) == ["resealed"]

    everything = dumped(after.client)
    assert MOBILE not in everything
    assert SEALED_CODE not in everything
    assert list(reseal(after.client, seals(NEW))) == []
    if state == "dead":
        assert after.replay("k") == "replayed"
    after.later(30)
    found = after.resume().voice_code
    assert found is not None
    assert (found.mobile, found.code) == (MOBILE, SEALED_CODE)
    assert after.claim(code=after.code(code="7777")).answer is Answer.CONFLICT


def test_a_sealed_pair_dies_with_its_use(open_with: Callable[..., LedgerDriver]) -> None:
    """Sealed or not: whoever gets the private keys one day must not find the codes of a week."""
    driver = open_with(NEW)
    driver.in_state("dead")
    retirement = Retirement(driver.client, driver.settings, clock_offset=300 + 3_600 - 5)
    assert retirement.retire(limit=10) == (0, 0)
    retirement.clock_offset += 10

    assert retirement.retire(limit=10) == (1, 0)
    assert "sealed" not in fields(driver)
    driver.later(300 + 3_600)
    assert driver.replay(life_seconds=300) == "retired"


def test_a_sealed_dead_letter_is_found_and_exported(
    open_with: Callable[..., LedgerDriver], tmp_path: Any
) -> None:
    driver = open_with(NEW)
    driver.bury(driver.claim(code=driver.code(code=SEALED_CODE)))
    queue = FailureQueue(driver.client, driver.settings, operator="ops")
    assert list(queue.keys(Filter(mobile_ends="8000"))) == ["k"]
    assert queue.page(Filter()).entries[0].sendable

    path = tmp_path / "dead.jsonl"
    queue.export(path, Filter(), unmasked=True)
    written = path.read_text("utf-8")
    assert MOBILE not in written
    assert SEALED_CODE not in written
    driver.client.flushdb()
    (counts,) = queue.import_(path)
    assert {status.value: count for status, count in counts.items() if count} == {"restored": 1}
    assert driver.replay() == "replayed"
    found = driver.resume().voice_code
    assert found is not None
    assert found.code == SEALED_CODE


def settings_of(*given: str) -> dict[str, Any]:
    return {"digest_key": SECRET, "seal_keys": ",".join(given), "log_level": "DEBUG"}


def test_a_worker_calls_what_a_producer_sealed(sandbox: Sandbox) -> None:
    """And what it did not seal; a pair that cannot be opened is a dead letter with its reason."""
    worker = sandbox.worker(**settings_of(NEW))
    producer, one = sandbox.producer(), seals(NEW)

    def send(key: str, sealed: str) -> None:
        more = {"key": key, "sealed": sealed}
        producer.send_task(names.SEND_TASK, kwargs=more, queue=names.QUEUE)

    sandbox.gateway.script(MOBILE, ["0"])  # it is opened again for its retry
    send("sealed", one.seal(MOBILE, SEALED_CODE, key="sealed"))
    sandbox.send("13911112222", "7777", key="plain")
    sandbox.wait_state(["sealed", "plain"])
    send("moved", one.seal(MOBILE, SEALED_CODE, key="another"))
    send("gone", seals(OLD).seal(MOBILE, SEALED_CODE, key="gone"))
    sandbox.wait_state(["moved", "gone"], "dead")

    reasons = [sandbox.record(key)["reason"] for key in ("moved", "gone")]
    assert reasons == ["bad_input", "seal_key_gone"]
    everything, log = dumped(sandbox.redis), worker.log.read_text("utf-8")
    for text in (MOBILE, SEALED_CODE, "13911112222"):
        assert text not in everything
        assert text not in log


def test_a_record_whose_key_is_gone_is_a_dead_letter_after_a_while(sandbox: Sandbox) -> None:
    """For a while: another worker may have got the key already."""
    driver = LedgerDriver(sandbox.url, digest_key=SECRET, seal_keys=OLD)
    driver.retry(driver.claim("k"), 0)
    driver.client.hset(keys.record("k"), "streak", "nothing:20")
    driver.close()
    sandbox.worker(**settings_of(NEW))

    wait_for(lambda: sandbox.state("k") == "dead", LIMIT_SECONDS, "the dead letter")
    assert sandbox.record("k")["reason"] == "seal_key_gone"
    assert sandbox.gateway.submissions() == []


def test_records_whose_key_is_gone_stop_nobody_else(sandbox: Sandbox) -> None:
    """Nothing is wrong with the gateway, the account or the worker."""
    driver = LedgerDriver(sandbox.url, digest_key=SECRET, seal_keys=OLD)
    old = [f"old{number}" for number in range(5)]
    for key in old:
        driver.retry(driver.claim(key), 0)
        driver.client.hset(keys.record(key), "streak", "nothing:16")
    driver.close()
    worker = sandbox.worker(**settings_of(NEW), stop_sending=True, unfit_after=3)

    sandbox.wait_state(old, "dead")
    key = sandbox.send()
    sandbox.wait_state([key])
    assert not sandbox.redis.exists(names.SENDING)
    assert worker.lines("worker.unfit") == []
