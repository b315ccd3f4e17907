import signal
from typing import Any

import pytest

from config import names
from tests.support.scene import Scene, frozen, message
from tests.support.workers import RunningWorker, wait_for

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


def test_two_codes_with_one_delivery_tag_are_both_called(scene: Scene) -> None:
    for key in ("one", "two"):
        scene.push(
            message(
                key, mobile=f"1380013800{len(key)}" if key == "one" else "13800138009", delivery_tag="same"
            )
        )
    scene.worker()
    scene.wait_state(["one", "two"])
    scene.wait_empty()


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
            lambda: scene.redis.hlen(names.UNACKED) == count and all(scene.states(sent)),
            10,
            "all to be fetched and claimed",
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
        scene.producer().send_task(
            names.SEND_TASK, args=args, kwargs={"key": key}, queue=names.QUEUE, priority=priority
        )
    assert {name: scene.standing().get(name) for name in STOCK_UNACKED} == dict.fromkeys(STOCK_UNACKED, 3)
    scene.worker(transport=after)
    scene.wait_state(in_unacked + in_list + with_priority, seconds=15)
    if after == "fetching":
        scene.wait_empty()
