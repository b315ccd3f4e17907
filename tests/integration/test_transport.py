"""From the queue to a thread and to the ack: nothing is lost; stock clients fit both ends."""

import json
import signal
from typing import Any

from config import names
from tests.support.sandbox import CODE, Sandbox, frozen, message
from tests.support.stock_app import SEEN
from tests.support.workers import LIMIT_SECONDS, RunningWorker, wait_for

STOCK_OPTIONS = ("--pool", "solo", "--without-mingle", "--without-gossip")


def stock_worker(sandbox: Sandbox) -> RunningWorker:
    """Start a worker that consumes the queue with kombu's own transport."""
    return sandbox.worker(app="tests.support.stock_app", options=STOCK_OPTIONS)


def freeze_idle_publish_one_and_kill(sandbox: Sandbox, worker: RunningWorker) -> str:
    """Run the case in which kombu's own transport loses a message; return the message's key."""
    sandbox.wait_waiting()
    worker.signal(signal.SIGSTOP)
    key = sandbox.send()
    worker.kill()
    return key


def test_kombus_own_transport_loses_a_message_when_an_idle_worker_is_killed(sandbox: Sandbox) -> None:
    """The hole that our own transport exists for. Should this fail one day, kombu has closed it."""
    freeze_idle_publish_one_and_kill(sandbox, stock_worker(sandbox))
    assert sandbox.standing() == {}
    assert sandbox.redis.exists("unacked", "unacked_index", SEEN) == 0


def test_the_same_case_loses_nothing_with_our_own(sandbox: Sandbox) -> None:
    key = freeze_idle_publish_one_and_kill(sandbox, sandbox.worker())
    assert sum(sandbox.standing().values()) > 0
    sandbox.worker()
    sandbox.wait_state(key)
    sandbox.wait_empty()
    assert len(sandbox.gateway.calls()) == 1


def test_two_codes_with_one_delivery_tag_are_both_called(sandbox: Sandbox) -> None:
    for key in ("one", "two"):
        sandbox.push(
            message(
                key, mobile=f"1380013800{len(key)}" if key == "one" else "13800138009", delivery_tag="same"
            )
        )
    sandbox.worker()
    sandbox.wait_state(["one", "two"])
    sandbox.wait_empty()


def test_two_workers_share_the_load_and_nothing_is_fetched_beyond_the_free_slots(sandbox: Sandbox) -> None:
    """A worker that sat on more than it can call would keep it from the idle one."""
    sandbox.gateway.rates({"silent:0.3": 1.0})
    try:
        workers = [sandbox.worker(ready=False, concurrency=3, read_timeout_seconds=0.9) for _ in range(2)]
        for worker in workers:
            worker.wait_ready()
        sandbox.wait_waiting(2)
        sandbox.send_all(12)
        wait_for(lambda: len(sandbox.gateway.submissions()) >= 6, LIMIT_SECONDS, "six at once")
        assert sandbox.redis.hlen(names.UNACKED) <= 6
        wait_for(
            lambda: all(len(worker.lines("attempt.finished")) >= 4 for worker in workers),
            LIMIT_SECONDS,
            "work for both",
        )
    finally:
        sandbox.gateway.rates({})


def test_acks_are_sent_before_the_worker_ends(sandbox: Sandbox) -> None:
    worker = sandbox.worker()
    keys_ = sandbox.send_all(20)
    sandbox.wait_state(keys_)
    assert worker.stop() == 0
    assert sandbox.standing() == {}
    assert len(sandbox.gateway.calls()) == 20


def test_what_was_fetched_and_not_begun_goes_back_at_once_when_the_worker_stops(sandbox: Sandbox) -> None:
    """Two slots, four messages fetched, a long visibility time-out: only giving back helps."""
    long: dict[str, Any] = {
        "visibility_timeout_seconds": 120,
        "attempt_deadline_seconds": 3,
        "read_timeout_seconds": 3,
        "lease_seconds": 4,
    }
    worker = sandbox.worker(options=("--prefetch-multiplier", "2"), concurrency=2, **long)
    sandbox.wait_waiting()
    sandbox.gateway.rates({"slow:2": 1.0})
    sent = sandbox.send_all(4)
    wait_for(lambda: sandbox.redis.hlen(names.UNACKED) == 4, LIMIT_SECONDS, "four to be fetched")
    wait_for(lambda: len(sandbox.gateway.submissions()) == 2, LIMIT_SECONDS, "two to be begun")
    assert worker.stop() == 0
    assert sorted(map(str, sandbox.states(sent))) == ["None", "None", "accepted", "accepted"]
    assert sandbox.standing() == {names.QUEUE: 2}
    sandbox.gateway.rates({})
    sandbox.worker()
    sandbox.wait_state(sent)
    assert len(sandbox.gateway.calls()) == 4


def leave_in_unacked(sandbox: Sandbox, worker: RunningWorker, count: int) -> list[str]:
    """Kill a worker while the gateway, which is frozen, has its calls in hand."""
    with frozen(sandbox.simulator.pid):
        sent = sandbox.send_all(count)
        wait_for(
            lambda: sandbox.redis.hlen(names.UNACKED) == count and all(sandbox.states(sent)),
            LIMIT_SECONDS,
            "all to be fetched and claimed",
        )
        worker.kill()
    return sent


def test_a_stock_worker_reads_what_ours_gave_back(sandbox: Sandbox) -> None:
    """The queue stays Celery's: whoever leaves this worker behind reads on where it stopped."""
    slow: dict[str, Any] = {
        "attempt_deadline_seconds": 3,
        "read_timeout_seconds": 3,
        "lease_seconds": 4,
        "visibility_timeout_seconds": 120,
    }
    worker = sandbox.worker(options=("--prefetch-multiplier", "2"), concurrency=1, **slow)
    sandbox.wait_waiting()
    sandbox.gateway.rates({"slow:2": 1.0})
    sandbox.send("13800138001", key="called")
    sandbox.wait_submitted("13800138001")
    sandbox.send("13800138002", key="left", purpose="login")
    wait_for(lambda: sandbox.redis.hlen(names.UNACKED) == 2, LIMIT_SECONDS, "the second one to be fetched")
    assert worker.stop() == 0
    sandbox.gateway.rates({})
    assert sandbox.standing() == {names.QUEUE: 1}
    stock_worker(sandbox)
    wait_for(lambda: sandbox.redis.llen(SEEN), LIMIT_SECONDS, "the stock worker to take it")
    seen = [json.loads(item) for item in sandbox.redis.lrange(SEEN, 0, -1)]
    assert seen == [["13800138002", CODE, {"key": "left", "purpose": "login"}]]


def test_what_a_killed_worker_left_in_unacked_or_in_lists_of_priorities_is_called(sandbox: Sandbox) -> None:
    """In the list, in `unacked`, and in the lists that kombu uses for priorities."""
    worker = sandbox.worker()
    sandbox.wait_waiting()
    in_unacked = leave_in_unacked(sandbox, worker, 3)
    in_list = sandbox.send_all(3)
    with_priority = [f"p{priority}" for priority in (3, 6, 9)]
    for priority, key in zip((3, 6, 9), with_priority, strict=True):
        args = [f"1380013888{priority}", CODE]
        sandbox.producer().send_task(
            names.SEND_TASK, args=args, kwargs={"key": key}, queue=names.QUEUE, priority=priority
        )
    sandbox.worker()
    sandbox.wait_state(in_unacked + in_list + with_priority, seconds=15)
    sandbox.wait_empty()


def test_an_error_that_is_not_the_messages_own_buries_nothing(sandbox: Sandbox) -> None:
    """Ten times the pool raises but keeps the work: each code is called once, none is dead."""
    worker = sandbox.worker(app="tests.support.threadless_app", threadless="submit")
    sent = sandbox.send_all(10)
    sandbox.wait_state(sent)
    sandbox.wait_empty()
    assert len(worker.lines("task.crashed")) == 10
    assert len(sandbox.gateway.calls()) == 10
    assert sandbox.redis.zcard(names.DEAD) == 0
