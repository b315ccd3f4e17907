"""Upkeep's thread: what one step meets stops no other, and what hangs stops nothing."""

import io
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from config import names
from config.settings import SettingsError
from tests.support.ledger_driver import LedgerDriver
from tests.support.sandbox import Sandbox, message
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker import upkeep as upkeep_module
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue, retention
from worker.failure_queue.retention import Retention, check_spill_dir
from worker.process.periodic import Periodic
from worker.transport import Unacked
from worker.upkeep import Upkeep


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.client.config_set("maxmemory", 0)
    driver.close()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def unacked_of(driver: LedgerDriver, instance: str = "w1") -> Unacked:
    return Unacked(driver.client, driver.settings, driver.availability, instance)


def overdue(driver: LedgerDriver) -> None:
    """Leave a message in `unacked` whose visibility time-out has passed."""
    driver.client.hset(names.UNACKED, "tag", json.dumps([message("m"), names.QUEUE, names.QUEUE]))
    driver.client.zadd(names.UNACKED_INDEX, {"tag": driver.now - 60})


def test_at_full_memory_upkeep_buries_and_sweeps_and_hints_nothing(driver: LedgerDriver) -> None:
    driver.retry(driver.claim("late", life=5), 1)
    calling = driver.claim("calling", life=300)
    driver.retry(driver.claim("due"), 1)
    driver.later(6)
    overdue(driver)
    driver.client.zadd(names.EXPIRY, {"calling": 1})  # what upkeep writes first is then no removal
    driver.client.config_set("maxmemory", 1)
    assert Upkeep(driver.ledger, unacked_of(driver), 1)._look() is False
    assert driver.state("late") == "dead"
    assert driver.client.zcard(names.UNACKED_INDEX) == 0
    assert driver.client.llen(names.QUEUE) == 1  # the message, and no hint that nobody could claim
    assert driver.client.llen(names.HINTS) == 0
    driver.client.config_set("maxmemory", 0)
    assert driver.upkeep().hinted == 1
    assert driver.accept(calling) == "accepted"


def test_at_full_memory_retention_makes_room(server: Server) -> None:
    driver = LedgerDriver(server.url, dead_retention_days=1, upkeep_interval_seconds=1)
    try:
        driver.bury(driver.claim("old"))
        driver.client.zadd(names.DEAD, {"old": driver.now - 3 * 86_400})
        driver.client.config_set("maxmemory", 1)
        queue = FailureQueue(driver.client, driver.settings, operator="upkeep")
        Retention(queue, interval_seconds=60).look()
        assert driver.ledger.record("old") is None
        assert driver.client.zcard(names.DEAD) == 0
        Retention(queue, interval_seconds=60).look()
        assert driver.client.get(names.RETENTION_LOCK) == "upkeep"
        assert 0 < driver.client.pttl(names.RETENTION_LOCK) <= 60_000
    finally:
        driver.client.config_set("maxmemory", 0)
        driver.close()


def test_one_round_of_retention_at_a_time(driver: LedgerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FailureQueue(driver.client, driver.settings, operator="upkeep")
    rounds: list[int] = []
    monkeypatch.setattr(Retention, "_retain", lambda _retention: rounds.append(1))
    for _ in range(3):
        Retention(queue, interval_seconds=60).look()
    assert len(rounds) == 1


def test_a_ledger_that_refuses_does_not_stop_the_sweep(driver: LedgerDriver, lines: list[Any]) -> None:
    overdue(driver)
    driver.client.set(names.EXPIRY, "no zset")
    upkeep = Upkeep(driver.ledger, unacked_of(driver), 1)
    for _ in range(3):
        assert upkeep._look() is False
    assert driver.client.llen(names.QUEUE) == 1
    driver.client.delete(names.EXPIRY)
    upkeep._look()
    assert [line["event"] for line in lines if line["event"].startswith("upkeep")] == [
        "upkeep.failed",
        "upkeep.recovered",
    ]


def test_a_spill_directory_that_hangs_stops_no_retry_and_is_reported_once(
    server: Server, tmp_path: Path, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = LedgerDriver(server.url, spill_dir=tmp_path, dead_letters_max=1)
    for key in ("one", "two"):
        driver.bury(driver.claim(key))
    hangs, goes_on = threading.Event(), threading.Event()

    def spill(*_: Any) -> None:
        hangs.set()
        goes_on.wait(LIMIT_SECONDS)

    monkeypatch.setattr(retention, "spill", spill)
    monkeypatch.setattr(upkeep_module, "_SPILL_SECONDS", 0.05)
    queue = FailureQueue(driver.client, driver.settings, operator="upkeep")
    thread = Periodic("retention", Retention(queue, interval_seconds=0.01).look, 0.01)
    upkeep = Upkeep(driver.ledger, unacked_of(driver), 0.02, retention=thread)
    thread.start()
    upkeep.start()
    try:
        assert hangs.wait(LIMIT_SECONDS)
        driver.retry(driver.claim("waits"), 0.001)
        wait_for(lambda: driver.client.llen(names.QUEUE), LIMIT_SECONDS, "the hint")
        overdue(driver)
        wait_for(lambda: not driver.client.zcard(names.UNACKED_INDEX), LIMIT_SECONDS, "the sweep")
        wait_for(lambda: any(line["event"] == "spill.failed" for line in lines), LIMIT_SECONDS, "the alert")
    finally:
        goes_on.set()
        upkeep.stop(5)
        thread.stop(5)
        driver.close()
    assert sum(line["event"] == "spill.failed" for line in lines) == 1


def test_a_spill_directory_that_hangs_is_found_out_at_the_start(
    driver: LedgerDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def hang(**_: Any) -> io.BytesIO:
        goes_on.wait(LIMIT_SECONDS)
        return io.BytesIO()

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", hang)
    monkeypatch.setattr(retention, "_CHECK_SECONDS", 0.05)
    settings = driver.settings.model_copy(update={"spill_dir": tmp_path})
    with pytest.raises(SettingsError, match=r"SPILL_DIR: .* does not answer within 0\.05 s"):
        check_spill_dir(settings)
    goes_on.set()


def newer(driver: LedgerDriver, *keys: str) -> dict[str, Any]:
    """Give records the next version, and return what stands in Redis."""
    for key in keys:
        driver.client.hset(names.RECORD_PREFIX + key, "v", names.RECORD_VERSION + 1)
    return {key: driver.client.hgetall(names.RECORD_PREFIX + key) for key in keys}


def test_newer_records_are_left_as_they_are_and_keep_no_older_one_waiting(server: Server) -> None:
    driver = LedgerDriver(server.url, upkeep_batch=2)
    keys = [f"newer{number}" for number in range(7)]
    for key in keys:
        driver.retry(driver.claim(key, life=5), 1)
    before = newer(driver, *keys)
    scores = driver.client.zrange(names.DUE, 0, -1, withscores=True)
    driver.retry(driver.claim("late", life=5), 2)
    driver.retry(driver.claim("due", life=60), 3)
    driver.later(6)
    tidied = driver.upkeep()
    assert ([one.key for one in tidied.buried], tidied.hinted, tidied.more) == (["late"], 1, False)
    assert tidied.newer == 2 * len(keys)
    assert {key: driver.client.hgetall(names.RECORD_PREFIX + key) for key in keys} == before
    assert driver.client.zrange(names.DUE, 0, -2, withscores=True) == scores
    assert (driver.upkeep().hinted, driver.client.llen(names.QUEUE)) == (0, 1)
    driver.close()


def test_newer_records_are_reported_when_they_stay_and_then_seldom(
    driver: LedgerDriver, lines: list[Any]
) -> None:
    """During a deployment each of them is met now and then."""
    driver.retry(driver.claim("k"), 0)
    newer(driver, "k")
    upkeep = Upkeep(driver.ledger, unacked_of(driver), 1)
    for _ in range(9):
        upkeep._look()
    assert lines == []
    for _ in range(9):
        upkeep._look()
    (line,) = lines
    assert (line["event"], line["count"], line["alert"]) == ("record.newer", 1, "page")


def test_after_a_rollback_newer_records_neither_loop_nor_grow(sandbox: Sandbox) -> None:
    """Records of the next version, their hints and messages, under workers of this one."""
    driver = LedgerDriver(sandbox.url)
    keys = [f"newer{number}" for number in range(10)]
    for key in keys:
        driver.retry(driver.claim(key, life=60), 0.001)
    driver.later(1)
    driver.upkeep()
    before = newer(driver, *keys)
    for key in keys:
        driver.client.zadd(names.DUE, {key: driver.now - 2})
        sandbox.send(driver.code().mobile, "0042", key=key)
    assert (sandbox.redis.llen(names.HINTS), sandbox.standing()) == (9, {names.QUEUE: 11})
    worker = sandbox.worker(upkeep_interval_seconds=0.05, visibility_timeout_seconds=16)
    sandbox.wait_empty()
    wait_for(lambda: not sandbox.redis.llen(names.HINTS), LIMIT_SECONDS, "the hints to be acked")
    wait_for(lambda: worker.lines("record.newer"), LIMIT_SECONDS, "the line")
    sandbox.wait_state(sandbox.send())
    assert worker.stop() == 0
    assert (sandbox.redis.llen(names.HINTS), sandbox.standing()) == (0, {})
    assert len(worker.lines("record.newer")) == 1
    assert sandbox.gateway.submissions()[1:] == []
    assert {key: driver.client.hgetall(names.RECORD_PREFIX + key) for key in keys} == before
    driver.close()


def test_a_batch_of_hints_goes_out_in_parts(driver: LedgerDriver) -> None:
    """New codes would meet all of it at once, and wait behind it."""
    client: Any = driver.client
    now = float(client.time()[0])
    for number in range(120):
        record = {"v": 1, "state": "waiting", "until": now, "expires_at": now + 600}
        client.hset(f"{names.RECORD_PREFIX}k{number}", mapping=record)
        client.zadd(names.DUE, {f"k{number}": now - 1})
        client.zadd(names.EXPIRY, {f"k{number}": now + 600})
    upkeep = Upkeep(driver.ledger, unacked_of(driver), 1, batch=100)
    waiting = []
    for _ in range(6):
        upkeep._slice()
        waiting.append(client.llen(names.HINTS) + client.llen(names.QUEUE))
    assert waiting == [0, 0, 0, 0, 20, 40]
    for _ in range(6):
        upkeep._slice()
    assert client.llen(names.HINTS) + client.llen(names.QUEUE) == 120
