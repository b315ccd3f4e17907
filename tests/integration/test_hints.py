"""Hints stand on a list of their own: new codes go first, and no hint is forgotten."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from config import names
from tests.support.fetching import fetch as fetch_once
from tests.support.ledger_driver import LedgerDriver
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, wait_for
from worker.embedded.server import Server
from worker.transport.unacked import Unacked
from worker.upkeep import Upkeep


def message(tag: str) -> str:
    return json.dumps({"body": "", "properties": {"delivery_tag": tag}})


def fetch(client: redis.Redis, number: int, count: int) -> list[str]:
    """Fetch as the transport does, and return the tags."""
    return fetch_once(client, count, f"w/{number}")[::2]


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


def test_hints_that_a_dead_worker_left_behind_wake_another(driver: LedgerDriver) -> None:
    driver.client.lpush(names.HINTS, message("a"), message("b"))
    assert driver.upkeep().hinted == 0
    assert driver.client.llen(names.QUEUE) == 1
    assert fetch(driver.client, 1, 5)[0] in "ab"
    assert driver.client.llen(names.HINTS) == 0


def test_an_idle_worker_hears_of_every_code_that_is_due(
    driver: LedgerDriver, server: Server, tmp_path: Any
) -> None:
    """It waits for the queue alone, and the gateway is away."""
    for number in range(30):
        driver.retry(driver.claim(f"k{number}"), 0.01)
    env = environment(
        broker_url=server.url,
        gateway_url="http://127.0.0.1:9/",
        heartbeat_file=str(tmp_path / "heartbeat"),
    )
    with RunningWorker(tmp_path / "worker.log", env).wait_ready():
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
