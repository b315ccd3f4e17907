"""Hints stand on a list of their own: new codes go first, and no hint is forgotten."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config import names
from tests.support.fetching import answer_of
from tests.support.fetching import fetch as fetch_once
from tests.support.ledger_driver import LedgerDriver
from tests.support.sandbox import message as stock_message
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, SHORT_TIMES, RunningWorker, environment, wait_for
from worker.embedded.server import Server
from worker.sending.slots import reserved
from worker.transport.credit import Credit
from worker.transport.unacked import Unacked
from worker.upkeep import Upkeep

NEW = "13800138777"


def message(tag: str) -> str:
    return json.dumps({"body": "", "properties": {"delivery_tag": tag}})


def fetch(client: redis.Redis, number: int, count: int, *, reserve: int = 0) -> list[str]:
    """Fetch as the transport does, and return the tags."""
    return fetch_once(client, count, f"w/{number}", reserve=reserve)[::2]


def due_codes(driver: LedgerDriver, count: int) -> None:
    """Put hints of codes that are due on their list."""
    for number in range(count):
        driver.retry(driver.claim(f"k{number}"), 0.01)
    driver.later(1)
    assert driver.upkeep().hinted == count


def worker(server: Server, gateway_url: str, folder: Path, **values: Any) -> RunningWorker:
    """Start a worker and wait until it consumes."""
    heartbeat = str(folder / "heartbeat")
    env = environment(broker_url=server.url, gateway_url=gateway_url, heartbeat_file=heartbeat, **values)
    return RunningWorker(folder / "worker.log", env).wait_ready()


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def test_new_codes_go_first_and_hints_are_not_starved(redis_client: redis.Redis) -> None:
    redis_client.lpush(names.HINTS, *(message(f"hint{n}") for n in range(200)))
    redis_client.lpush(names.QUEUE, *(message(f"code{n}") for n in range(200)))
    fetched = [fetch(redis_client, n, 1)[0] for n in range(200)]
    hints = [tag for tag in fetched if tag.startswith("hint")]
    assert 0 < len(hints) < 80
    assert hints == [f"hint{n}" for n in range(len(hints))]


def test_hints_take_the_room_that_new_codes_leave(redis_client: redis.Redis) -> None:
    redis_client.lpush(names.HINTS, *(message(f"hint{n}") for n in range(5)))
    redis_client.lpush(names.QUEUE, message("code"))
    assert sorted(fetch(redis_client, 1, 6)) == ["code", *(f"hint{n}" for n in range(5))]
    assert redis_client.exists(names.QUEUE, names.HINTS) == 0
    assert redis_client.hlen(names.UNACKED) == 6


def test_hints_leave_the_reserve_to_the_codes_that_come_next(redis_client: redis.Redis) -> None:
    redis_client.lpush(names.HINTS, *(message(f"hint{n}") for n in range(20)))
    wait, *fetched = answer_of(redis_client, 10, "w/1", reserve=2)
    assert (wait, fetched[::2]) == (1, [f"hint{n}" for n in range(8)])
    assert answer_of(redis_client, 2, "w/2", reserve=2) == [1]
    redis_client.lpush(names.QUEUE, message("code"))
    wait, *fetched = answer_of(redis_client, 2, "w/3", reserve=2)
    assert (wait, fetched[::2]) == (1, ["code"])
    assert answer_of(redis_client, 2, "w/3", reserve=2, repeated=True)[0] == 1
    wait, *fetched = answer_of(redis_client, 50, "w/4", reserve=2)
    assert (wait, len(fetched[::2])) == (0, 12)


def test_a_hint_that_wakes_a_worker_takes_no_reserved_slot(driver: LedgerDriver) -> None:
    """Upkeep puts one on the queue whenever that is empty."""
    due_codes(driver, 20)
    answer_of(driver.client, 10, "w/0", reserve=2)
    for number in range(5):
        driver.upkeep()
        assert driver.client.llen(names.QUEUE) == 1
        assert answer_of(driver.client, 2, f"w/{number}", reserve=2) == [1]
        driver.client.lpush(names.QUEUE, message("code"))
        assert fetch(driver.client, 10 + number, 2, reserve=2) == [
            "code" + f":w/{10 + number}:1" * (number > 0)
        ]
    assert driver.client.llen(names.HINTS) + driver.client.llen(names.QUEUE) == 12


def test_a_worker_that_may_hold_one_message_keeps_no_slot_free() -> None:
    """After a time of being unfit it proves itself with one code, which may be a waiting one."""
    credit = Credit()
    assert reserved(credit.usable(50)) == 5
    credit.at_most(1)
    assert reserved(credit.usable(50)) == 0


def test_hints_are_not_starved_while_new_codes_take_the_reserve(redis_client: redis.Redis) -> None:
    redis_client.lpush(names.HINTS, *(message(f"hint{n}") for n in range(200)))
    redis_client.lpush(names.QUEUE, *(message(f"code{n}") for n in range(400)))
    fetched = [tag for n in range(200) for tag in fetch(redis_client, n, 2, reserve=4)]
    hints = [tag for tag in fetched if tag.startswith("hint")]
    assert len(fetched) == 400
    assert 0 < len(hints) < 80


def test_one_tag_on_both_lists_loses_no_message(redis_client: redis.Redis) -> None:
    for _ in range(2):
        redis_client.lpush(names.HINTS, message("tag"))
        redis_client.lpush(names.QUEUE, message("tag"))
    assert len(set(fetch(redis_client, 1, 10))) == 4
    assert redis_client.hlen(names.UNACKED) == 4


def test_a_new_code_is_called_while_replayed_ones_wait_for_a_slow_gateway(
    driver: LedgerDriver, server: Server, tmp_path: Path
) -> None:
    due_codes(driver, 60)
    times_by_default: dict[str, Any] = {
        name: None for name in SHORT_TIMES if name.endswith("_seconds") and name != "shutdown_grace_seconds"
    }
    with (
        start_simulator(latency=600) as gateway,
        worker(server, gateway.url, tmp_path, concurrency=20, **times_by_default),
    ):
        wait_for(lambda: len(gateway.client.calls()) >= 18, LIMIT_SECONDS, "the waiting codes' slots")
        driver.client.lpush(names.QUEUE, stock_message("new", NEW))
        wait_for(lambda: gateway.client.calls(NEW), LIMIT_SECONDS, "the new code's call")
        called = [call.mobile for call in gateway.client.calls()]
        assert called.index(NEW) == 18
        gateway.kill()


def test_hints_that_waited_for_room_are_fetched_when_it_comes(
    driver: LedgerDriver, server: Server, tmp_path: Path
) -> None:
    """Upkeep looks in half a minute only, and no new code comes."""
    due_codes(driver, 60)
    with (
        start_simulator(latency=0.3) as gateway,
        worker(server, gateway.url, tmp_path, concurrency=20, upkeep_interval_seconds=30),
    ):
        wait_for(lambda: driver.client.zcard(names.DUE) == 0, 20, "a call for every code")


def test_hints_that_a_dead_worker_left_behind_wake_another(driver: LedgerDriver) -> None:
    driver.client.lpush(names.HINTS, message("a"), message("b"))
    assert driver.upkeep().hinted == 0
    assert driver.client.llen(names.QUEUE) == 1
    assert fetch(driver.client, 1, 5)[0] in "ab"
    assert driver.client.llen(names.HINTS) == 0


def test_an_idle_worker_hears_of_every_code_that_is_due(
    driver: LedgerDriver, server: Server, tmp_path: Path
) -> None:
    """It waits for the queue alone, and the gateway is away."""
    for number in range(30):
        driver.retry(driver.claim(f"k{number}"), 0.01)
    with worker(server, "http://127.0.0.1:9/", tmp_path):
        records = [names.RECORD_PREFIX + f"k{number}" for number in range(30)]
        wait_for(
            lambda: all(int(driver.client.hget(name, "attempt") or 0) > 1 for name in records),
            LIMIT_SECONDS,
            "the second attempt of every code",
        )


def test_many_burials_delay_no_hint(server: Server) -> None:
    """A hundred thousand codes may expire in a second: each look ends with its interval."""
    driver = LedgerDriver(server.url, upkeep_batch=1)
    driver.retry(driver.claim("waiting"), 0.001)
    for number in range(3):
        driver.retry(driver.claim(f"late{number}", life=5), 0.001)
    driver.later(6)
    unacked = Unacked(driver.client, driver.settings, driver.availability, "w1")
    upkeep = Upkeep(driver.ledger, unacked, 0.000_001)
    assert [upkeep._look() for _ in range(4)] == [True, True, True, False]
    assert driver.client.llen(names.QUEUE) == 1
    assert driver.client.zcard(names.DEAD) == 3
    driver.close()
