"""The scripts that move messages, by themselves: fetch, give back, sweep."""

import itertools
import json
import time
from typing import Any

import pytest
import redis

from config import names
from config.settings import load
from tests.support.fetching import fetch as fetch_once
from tests.support.sandbox import Sandbox, message
from worker.ledger import Ledger
from worker.store.availability import RedisAvailability
from worker.store.client import connect
from worker.transport.unacked import Acks, Unacked
from worker.upkeep import Upkeep


class Fetching:
    """The fetch script by itself."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client
        self.numbers = itertools.count(1)

    def __call__(self, credit: int, *, token: str = "", again: bool = False) -> list[tuple[bytes, bytes]]:
        token = token or f"worker-1/{next(self.numbers)}"
        answer = fetch_once(self.client, credit, token, repeated=again)
        return list(zip(answer[::2], answer[1::2], strict=True))

    def unacked(self) -> dict[bytes, bytes]:
        return dict(self.client.hgetall(names.UNACKED))


@pytest.fixture
def fetch(sandbox: Sandbox) -> Fetching:
    return Fetching(sandbox.raw)


def test_a_fetch_takes_as_many_as_there_is_room_for_and_the_oldest_first(
    sandbox: Sandbox, fetch: Fetching
) -> None:
    sent = [message(f"m{number}") for number in range(5)]
    for item in sent:
        sandbox.push(item)
    first, second = fetch(3), fetch(3)
    assert [item.decode() for _, item in first] == sent[:3]
    assert [item.decode() for _, item in second] == sent[3:]
    assert fetch(3) == []
    assert [tag.decode() for tag, _ in first + second] == [f"tag-m{number}" for number in range(5)]
    assert sandbox.redis.zrange(names.UNACKED_INDEX, 0, -1) == [f"tag-m{number}" for number in range(5)]


@pytest.mark.parametrize(
    "odd",
    [
        (
            '{ "a" : 1.0, "é\\u00e9": "  ", "properties": {"delivery_tag": "odd"}, '
            '"n": 12345678901234567890, "e": [] }'
        ),
        '{"body":"\\"]\\",\\"x\\"","properties":{"delivery_tag":"odd"}}',
        '{"properties":{"delivery_tag":"odd"},"body":"' + "x" * 1_000_000 + '"}',
    ],
    ids=["spaces, floats and empty lists", "looks like the end of what is stored", "a megabyte"],
)
def test_not_a_byte_of_a_message_changes_on_its_way_through_unacked(
    sandbox: Sandbox, fetch: Fetching, odd: str
) -> None:
    """Cjson would have made `{}` of `[]` and 1.2345678901235e+19 of the number."""
    sandbox.push(odd)
    ((tag, item),) = fetch(10)
    assert (tag, item) == (b"odd", odd.encode())
    stored = fetch.unacked()[b"odd"]
    assert stored == f'[{odd},"{names.QUEUE}","{names.QUEUE}"]'.encode()
    assert unacked_of(sandbox).give_back(["odd"]) == 1
    assert sandbox.raw.lrange(names.QUEUE, 0, -1) == [odd.encode()]
    assert sandbox.standing() == {names.QUEUE: 1}


def unacked_of(
    sandbox: Sandbox, instance: str = "worker-1", availability: RedisAvailability | None = None
) -> Unacked:
    settings = load(_env_file=None, broker_url=sandbox.url, visibility_timeout_seconds=17)
    return Unacked(sandbox.redis, settings, availability or RedisAvailability(0, lambda: 0.0), instance)


def test_what_a_stock_transport_left_in_unacked_comes_back_byte_for_byte(sandbox: Sandbox) -> None:
    """Kombu writes the same three parts, but with spaces between them."""
    item = message("old")
    sandbox.redis.hset(names.UNACKED, "tag-old", json.dumps([json.loads(item), "", names.QUEUE]))
    sandbox.redis.zadd(names.UNACKED_INDEX, {"tag-old": 1})
    assert unacked_of(sandbox).sweep().restored == 1
    assert sandbox.redis.lrange(names.QUEUE, 0, -1) == [item]


def test_a_message_that_redis_was_away_for_goes_back_to_the_front_as_soon_as_redis_answers(
    sandbox: Sandbox, fetch: Fetching
) -> None:
    """Waiting for the visibility time-out would delay the call by 17 s."""
    for name in ("first", "second"):
        sandbox.push(message(name))
    fetch(1)
    settings = load(_env_file=None, broker_url="redis://127.0.0.1:1/0")
    away = Acks(Unacked(connect(settings), settings, RedisAvailability(0, lambda: 0.0), "worker-1"))
    away.give_back_soon("tag-first")
    assert not away.flush()
    assert sandbox.redis.hlen(names.UNACKED) == 1
    acks = Acks(unacked_of(sandbox))
    acks.give_back_soon("tag-first")
    assert acks.flush()
    assert sandbox.redis.lrange(names.QUEUE, 0, -1) == [message("second"), message("first")]
    assert (
        sandbox.redis.hlen(names.UNACKED)
        == sandbox.redis.zcard(names.UNACKED_INDEX)
        == sandbox.redis.hlen(names.FETCHED)
        == 0
    )


def test_a_fetch_that_is_executed_twice_answers_with_the_same_messages(
    sandbox: Sandbox, fetch: Fetching
) -> None:
    """Redis was frozen beyond the time-out: the first execution counts, its answer is lost."""
    for number in range(4):
        sandbox.push(message(f"m{number}"))
    lost = fetch(2, token="worker-1/7")
    assert sorted(fetch(2, token="worker-1/7", again=True)) == sorted(lost)
    assert sandbox.redis.llen(names.QUEUE) == 2
    assert sandbox.redis.hlen(names.UNACKED) == 2
    # Never executed before: the repetition is the first one.
    assert len(fetch(2, token="worker-1/8", again=True)) == 2
    assert sandbox.redis.llen(names.QUEUE) == 0


def test_two_messages_with_one_delivery_tag_stay_two(sandbox: Sandbox, fetch: Fetching) -> None:
    items = [message(key, delivery_tag="same") for key in ("one", "two", "three")]
    for item in items:
        sandbox.push(item)
    got = fetch(2) + fetch(2)
    assert [item.decode() for _, item in got] == items
    assert len({tag for tag, _ in got}) == 3
    assert len(fetch.unacked()) == 3


@pytest.mark.parametrize(
    "item",
    [b"rubbish", b"\xff\x00\xfe", b"[]", b"null", b'{"properties":{}}', b'{"properties":{"delivery_tag":7}}'],
)
def test_an_item_that_is_no_message_becomes_a_dead_letter_with_its_bytes(
    sandbox: Sandbox, fetch: Fetching, item: bytes
) -> None:
    sandbox.push(item)
    sandbox.push(message("next"))
    assert [tag for tag, _ in fetch(10)] == [b"tag-next"]
    assert sandbox.redis.llen(names.QUEUE) == 0
    (key,) = sandbox.redis.zrange(names.DEAD, 0, -1)
    found: dict[bytes, bytes] = sandbox.raw.hgetall(names.RECORD_PREFIX + key)
    assert (found[b"state"], found[b"reason"], found[b"raw"]) == (b"dead", b"unreadable", item)


def test_acks_need_no_transaction_which_a_full_redis_refuses(sandbox: Sandbox, fetch: Fetching) -> None:
    """At full memory Redis 6.2 and 7 refuse any command between MULTI and EXEC; Valkey does not."""
    sandbox.push(message("m"))
    [(tag, _)] = fetch(1)
    settings = load(_env_file=None, broker_url=sandbox.url)
    sandbox.redis.config_resetstat()
    sandbox.redis.config_set("maxmemory", 1)
    try:
        with connect(settings) as client:
            unacked = Unacked(client, settings, RedisAvailability(0, lambda: 0.0), "worker-1")
            unacked.ack([tag.decode()])
    finally:
        sandbox.redis.config_set("maxmemory", 0)
    assert fetch.unacked() == {}
    assert sandbox.redis.zcard(names.UNACKED_INDEX) == 0
    assert "cmdstat_multi" not in sandbox.redis.info("commandstats")


def test_a_full_redis_lets_no_message_out_of_the_queue(sandbox: Sandbox, fetch: Fetching) -> None:
    sandbox.push(message("m"))
    sandbox.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match=r"OOM|maxmemory"):
            fetch(1)
        assert sandbox.redis.llen(names.QUEUE) == 1
        assert sandbox.redis.hlen(names.UNACKED) == 0
    finally:
        sandbox.redis.config_set("maxmemory", 0)
    assert len(fetch(1)) == 1


def test_messages_in_the_lists_of_priorities_are_moved_whoever_put_them_there(sandbox: Sandbox) -> None:
    """By kombu's own separator, and by the colon that is widely copied with ten steps."""
    lists = [
        f"{names.QUEUE}{separator}{priority}" for separator in ("\x06\x16", ":") for priority in range(1, 10)
    ]
    for number, name in enumerate(lists):
        sandbox.push(f"item {number:02}", name)
    assert unacked_of(sandbox).sweep().moved == 18
    assert sorted(sandbox.redis.lrange(names.QUEUE, 0, -1)) == [f"item {number:02}" for number in range(18)]
    assert sandbox.standing() == {names.QUEUE: 18}


def test_a_key_of_another_application_that_is_no_list_is_left_alone(sandbox: Sandbox) -> None:
    """It must not keep the sweep from the lists behind it, nor from its next round."""
    sandbox.redis.hset("voice_codes:5", "theirs", "1")
    sandbox.push("item", "voice_codes:6")
    assert unacked_of(sandbox).sweep().moved == 1
    assert sandbox.redis.hgetall("voice_codes:5") == {"theirs": "1"}


def test_priorities_of_a_busy_producer_are_not_held_to_a_trickle(sandbox: Sandbox) -> None:
    """Everything with a priority: a producer may think that it helps.

    Upkeep looks once a second.
    """
    for number in range(1000):
        sandbox.push(f"item {number}", f"{names.QUEUE}{names.PRIORITY_SEPARATORS[0]}5")
    settings = load(_env_file=None, broker_url=sandbox.url)
    ledger = Ledger(sandbox.redis, settings, RedisAvailability(0, lambda: 0.0))
    Upkeep(ledger, unacked_of(sandbox), interval_seconds=1)._look()
    assert sandbox.redis.llen(names.QUEUE) == 1000
    assert sandbox.raw.lindex(names.QUEUE, -1) == b"item 0"


@pytest.mark.parametrize(("silent_seconds", "deaths"), [(1, None), (6, "1")])
def test_a_worker_that_fell_silent_soon_after_its_fetch_counts_as_dead(
    sandbox: Sandbox, fetch: Fetching, silent_seconds: float, deaths: str | None
) -> None:
    """A message may kill slowly, by memory: its worker still swept for some seconds."""
    now = time.time()
    sandbox.push(message("m"))
    fetch(1, token="slow-to-die/1")
    sandbox.redis.zadd(names.UNACKED_INDEX, {"tag-m": now - 18})
    sandbox.redis.zadd(names.WORKERS, {"slow-to-die": now - silent_seconds})
    assert unacked_of(sandbox, "another").sweep().restored == 1
    assert sandbox.redis.hget(names.RETURNS, "tag-m") == deaths


def test_after_an_outage_the_messages_of_living_workers_are_no_deaths(
    sandbox: Sandbox, fetch: Fetching
) -> None:
    """Nobody could sweep while Redis was away: no worker has fallen silent."""
    now = time.time()
    for name in ("own", "another"):
        sandbox.push(message(name))
        fetch(1, token=f"{name}/1")
        sandbox.redis.zadd(names.WORKERS, {name: now - 18})
        sandbox.redis.zadd(names.UNACKED_INDEX, {f"tag-{name}": now - 18})
    availability = RedisAvailability(3, time.monotonic)
    availability.failed()
    assert unacked_of(sandbox, "own", availability).sweep().restored == 2
    assert sandbox.redis.hlen(names.RETURNS) == 0


def test_a_worker_that_sweeps_again_does_not_count_its_own_messages(
    sandbox: Sandbox, fetch: Fetching
) -> None:
    """It was frozen, say, and Redis was there all the time."""
    now = time.time()
    sandbox.push(message("m"))
    fetch(1, token="own/1")
    sandbox.redis.zadd(names.WORKERS, {"own": now - 18})
    sandbox.redis.zadd(names.UNACKED_INDEX, {"tag-m": now - 18})
    assert unacked_of(sandbox, "own").sweep().restored == 1
    assert sandbox.redis.hlen(names.RETURNS) == 0
