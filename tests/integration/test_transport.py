import itertools
import json
import signal
from typing import Any

import pytest
import redis

from config import names
from config.settings import load
from tests.support.scene import Scene, frozen, message
from tests.support.workers import RunningWorker, wait_for
from worker.ledger import keys, scripts
from worker.redis_client import Outage
from worker.unacked import Unacked

STOCK_UNACKED = (names.UNACKED, names.UNACKED_INDEX)


def freeze_idle_publish_one_and_kill(scene: Scene, transport: str) -> str:
    """Play the scene in which the stock transport loses a message; return the message's key."""
    worker = scene.worker(transport=transport)
    scene.wait_waiting()
    worker.signal(signal.SIGSTOP)
    key = scene.send()
    worker.kill()
    return key


def test_the_stock_transport_loses_a_message_when_an_idle_worker_is_killed(scene: Scene) -> None:
    """The hole that our own transport exists for. Should this fail one day, kombu has closed it."""
    key = freeze_idle_publish_one_and_kill(scene, "stock")
    assert scene.standing() == {}
    assert scene.redis.zscore(names.DUE, key) is None
    scene.worker(transport="stock")
    scene.wait_waiting()
    assert scene.state(key) is None
    assert len(scene.gateway.calls()) == 0


def test_the_same_scene_loses_nothing_with_our_own(scene: Scene) -> None:
    key = freeze_idle_publish_one_and_kill(scene, "fetching")
    assert sum(scene.standing().values()) > 0
    scene.worker()
    scene.wait_state(key)
    scene.wait_empty()
    assert len(scene.gateway.calls()) == 1


class Fetching:
    """The fetch script by itself."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client
        self.script = scripts.load(client, "fetch")
        self.numbers = itertools.count(1)

    def __call__(self, credit: int, *, token: str = "", again: bool = False) -> list[tuple[bytes, bytes]]:
        token = token or f"worker-1/{next(self.numbers)}"
        arguments: list[Any] = [0, names.RECORD_VERSION, credit, token, "1" if again else "0", names.RECORD_PREFIX, 16_384]
        answer = self.script(keys=keys.FETCH, args=arguments)
        return list(zip(answer[::2], answer[1::2], strict=True))

    def unacked(self) -> dict[bytes, bytes]:
        return dict(self.client.hgetall(names.UNACKED))


@pytest.fixture
def fetch(scene: Scene) -> Fetching:
    return Fetching(scene.raw)


def test_a_fetch_takes_as_many_as_there_is_room_for_and_the_oldest_first(scene: Scene, fetch: Fetching) -> None:
    sent = [message(f"m{number}") for number in range(5)]
    for item in sent:
        scene.push(item)
    first, second = fetch(3), fetch(3)
    assert [item.decode() for _, item in first] == sent[:3]
    assert [item.decode() for _, item in second] == sent[3:]
    assert fetch(3) == []
    assert [tag.decode() for tag, _ in first + second] == [f"tag-m{number}" for number in range(5)]
    assert scene.redis.zrange(names.UNACKED_INDEX, 0, -1) == [f"tag-m{number}" for number in range(5)]


@pytest.mark.parametrize(
    "odd",
    [
        '{ "a" : 1.0, "é\\u00e9": "  ", "properties": {"delivery_tag": "odd"}, "n": 12345678901234567890, "e": [] }',
        '{"body":"\\"]\\",\\"x\\"","properties":{"delivery_tag":"odd"}}',
        '{"properties":{"delivery_tag":"odd"},"body":"' + "x" * 1_000_000 + '"}',
    ],
    ids=["spaces, floats and empty lists", "looks like the end of what is stored", "a megabyte"],
)
def test_not_a_byte_of_a_message_changes_on_its_way_through_unacked(scene: Scene, fetch: Fetching, odd: str) -> None:
    """Cjson would have made `{}` of `[]` and 1.2345678901235e+19 of the number."""
    scene.push(odd)
    ((tag, item),) = fetch(10)
    assert (tag, item) == (b"odd", odd.encode())
    stored = fetch.unacked()[b"odd"]
    assert stored == f'[{odd},"{names.QUEUE}","{names.QUEUE}"]'.encode()
    assert unacked_of(scene).give_back(["odd"]) == 1
    assert scene.raw.lrange(names.QUEUE, 0, -1) == [odd.encode()]
    assert scene.standing() == {names.QUEUE: 1}


def unacked_of(scene: Scene, instance: str = "worker-1") -> Unacked:
    settings = load(_env_file=None, broker_url=scene.url, visibility_timeout_seconds=17)
    return Unacked(scene.redis, settings, Outage(0, lambda: 0.0), instance)


def test_what_a_stock_transport_left_in_unacked_comes_back_byte_for_byte(scene: Scene) -> None:
    """Kombu writes the same three parts, but with spaces between them."""
    item = message("old")
    scene.redis.hset(names.UNACKED, "tag-old", json.dumps([json.loads(item), "", names.QUEUE]))
    scene.redis.zadd(names.UNACKED_INDEX, {"tag-old": 1})
    assert unacked_of(scene).sweep().restored == 1
    assert scene.redis.lrange(names.QUEUE, 0, -1) == [item]


def test_a_fetch_that_is_executed_twice_answers_with_the_same_messages(scene: Scene, fetch: Fetching) -> None:
    """Redis was frozen for longer than the time-out: the first answer was lost, the execution was not."""
    for number in range(4):
        scene.push(message(f"m{number}"))
    lost = fetch(2, token="worker-1/7")
    assert sorted(fetch(2, token="worker-1/7", again=True)) == sorted(lost)
    assert scene.redis.llen(names.QUEUE) == 2
    assert scene.redis.hlen(names.UNACKED) == 2
    # Never executed before: the repetition is the first one.
    assert len(fetch(2, token="worker-1/8", again=True)) == 2
    assert scene.redis.llen(names.QUEUE) == 0


def test_two_messages_with_one_delivery_tag_stay_two(scene: Scene, fetch: Fetching) -> None:
    items = [message(key, delivery_tag="same") for key in ("one", "two", "three")]
    for item in items:
        scene.push(item)
    got = fetch(2) + fetch(2)
    assert [item.decode() for _, item in got] == items
    assert len({tag for tag, _ in got}) == 3
    assert len(fetch.unacked()) == 3


def test_two_codes_with_one_delivery_tag_are_both_called(scene: Scene) -> None:
    for key in ("one", "two"):
        scene.push(message(key, mobile=f"1380013800{len(key)}" if key == "one" else "13800138009", delivery_tag="same"))
    scene.worker()
    scene.wait_state(["one", "two"])
    scene.wait_empty()


@pytest.mark.parametrize(
    "item", [b"rubbish", b"\xff\x00\xfe", b"[]", b"null", b'{"properties":{}}', b'{"properties":{"delivery_tag":7}}']
)
def test_an_item_that_is_no_message_becomes_a_dead_letter_with_its_bytes(scene: Scene, fetch: Fetching, item: bytes) -> None:
    scene.push(item)
    scene.push(message("next"))
    assert [tag for tag, _ in fetch(10)] == [b"tag-next"]
    assert scene.redis.llen(names.QUEUE) == 0
    (key,) = scene.redis.zrange(names.DEAD, 0, -1)
    found: dict[bytes, bytes] = scene.raw.hgetall(names.RECORD_PREFIX + key)
    assert (found[b"state"], found[b"reason"], found[b"raw"]) == (b"dead", b"unreadable", item)


def test_a_full_redis_lets_no_message_out_of_the_queue(scene: Scene, fetch: Fetching) -> None:
    scene.push(message("m"))
    scene.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match=r"OOM|maxmemory"):
            fetch(1)
        assert scene.redis.llen(names.QUEUE) == 1
        assert scene.redis.hlen(names.UNACKED) == 0
    finally:
        scene.redis.config_set("maxmemory", 0)
    assert len(fetch(1)) == 1


def test_messages_in_the_lists_of_priorities_are_moved_whoever_put_them_there(scene: Scene) -> None:
    lists = [f"{names.QUEUE}{names.PRIORITY_SEPARATOR}{priority}" for priority in range(1, 10)]
    for number, name in enumerate(lists):
        scene.push(f"item {number}", name)
    assert unacked_of(scene).sweep().moved == 9
    assert sorted(scene.redis.lrange(names.QUEUE, 0, -1)) == [f"item {number}" for number in range(9)]
    assert scene.standing() == {names.QUEUE: 9}


def test_two_workers_share_the_load_and_nothing_is_fetched_beyond_the_free_slots(scene: Scene) -> None:
    """A worker that sat on more than it can call would keep it from the idle one."""
    scene.gateway.rates({"silent:0.3": 1.0})
    try:
        workers = [scene.worker(ready=False, concurrency=3, read_timeout_seconds=0.9) for _ in range(2)]
        for worker in workers:
            worker.wait_ready()
        scene.wait_waiting(2)
        scene.send_all(12)
        wait_for(lambda: len(scene.gateway.submissions()) >= 6, 10, "six at once")
        assert scene.redis.hlen(names.UNACKED) <= 6
        for worker in workers:
            wait_for(lambda worker=worker: len(worker.lines("attempt.finished")) >= 4, 20, "work for both")  # type: ignore[misc]
    finally:
        scene.gateway.rates({})


def test_acks_are_sent_before_the_worker_ends(scene: Scene) -> None:
    worker = scene.worker()
    keys_ = scene.send_all(20)
    scene.wait_state(keys_)
    assert worker.stop() == 0
    assert scene.standing() == {}
    assert len(scene.gateway.calls()) == 20


def test_what_was_fetched_and_not_begun_goes_back_at_once_when_the_worker_stops(scene: Scene) -> None:
    """Two slots, twice as many fetched, and a visibility time-out far beyond this test: only giving back brings them back."""
    long: dict[str, Any] = {
        "visibility_timeout_seconds": 120,
        "attempt_deadline_seconds": 3,
        "read_timeout_seconds": 3,
        "lease_seconds": 4,
    }
    worker = scene.worker(options=("--prefetch-multiplier", "2"), concurrency=2, **long)
    scene.wait_waiting()
    scene.gateway.rates({"slow:2": 1.0})
    sent = scene.send_all(4)
    wait_for(lambda: scene.redis.hlen(names.UNACKED) == 4, 10, "four to be fetched")
    wait_for(lambda: len(scene.gateway.submissions()) == 2, 10, "two to be begun")
    assert worker.stop() == 0
    assert sorted(map(str, scene.states(sent))) == ["None", "None", "accepted", "accepted"]
    assert scene.standing() == {names.QUEUE: 2}
    scene.gateway.rates({})
    scene.worker()
    scene.wait_state(sent)
    assert len(scene.gateway.calls()) == 4


def leave_in_unacked(scene: Scene, worker: RunningWorker, count: int) -> list[str]:
    """Kill a worker while the gateway, which is frozen, has its calls in hand."""
    with frozen(scene.simulator.pid):
        sent = scene.send_all(count)
        wait_for(
            lambda: scene.redis.hlen(names.UNACKED) == count and all(scene.states(sent)), 10, "all to be fetched and claimed"
        )
        worker.kill()
    return sent


@pytest.mark.parametrize(("before", "after"), [("stock", "fetching"), ("fetching", "stock")])
def test_switching_the_transport_by_a_restart_loses_nothing(scene: Scene, before: str, after: str) -> None:
    """In the list, in `unacked`, and in the lists that kombu uses for priorities."""
    worker = scene.worker(transport=before)
    scene.wait_waiting()
    in_unacked = leave_in_unacked(scene, worker, 3)
    in_list = scene.send_all(3)
    with_priority = [f"p{priority}" for priority in (3, 6, 9)]
    for priority, key in zip((3, 6, 9), with_priority, strict=True):
        args = [f"1380013888{priority}", "0042"]
        scene.producer().send_task(names.SEND_TASK, args=args, kwargs={"key": key}, queue=names.QUEUE, priority=priority)
    assert {name: scene.standing().get(name) for name in STOCK_UNACKED} == dict.fromkeys(STOCK_UNACKED, 3)
    scene.worker(transport=after)
    scene.wait_state(in_unacked + in_list + with_priority, seconds=15)
    if after == "fetching":
        scene.wait_empty()
