from functools import partial
from typing import Any

from config import names
from tests.support.fault_markers import DIES_BEFORE_CLAIM, DIES_IN_CALL, EXIT_STATUS, FULL_AT_CLAIM
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, RunningWorker, wait_for

SHORT: dict[str, Any] = {
    "connect_timeout_seconds": 0.3,
    "read_timeout_seconds": 0.4,
    "attempt_deadline_seconds": 0.5,
    "lease_seconds": 0.6,
    "hold_seconds": 0.6,
    "visibility_timeout_seconds": 0.7,
}


def start(sandbox: Sandbox) -> RunningWorker:
    return sandbox.worker(app="tests.support.dying_app", ready=False, **SHORT)


def wait_death(worker: RunningWorker) -> None:
    wait_for(lambda: not worker.running, LIMIT_SECONDS, "the worker's death")
    assert worker.stop() == EXIT_STATUS


def test_a_message_that_kills_three_workers_before_its_claim_becomes_a_dead_letter_and_others_flow(
    sandbox: Sandbox,
) -> None:
    """No Python sees a byte of it between the deaths: the sweep counts them."""
    key = sandbox.send(key=f"{DIES_BEFORE_CLAIM}-1")
    stored = sandbox.raw.lindex(names.QUEUE, 0)
    for death in range(3):
        assert sandbox.redis.zcard(names.DEAD) == 0, f"buried after {death} deaths"
        wait_death(start(sandbox))
    others = sandbox.send_all(5)
    last = start(sandbox)
    sandbox.wait_state(others)
    (dead,) = wait_for(lambda: sandbox.redis.zrange(names.DEAD, 0, -1), LIMIT_SECONDS, "the dead letter")
    record = sandbox.raw.hgetall(names.RECORD_PREFIX + dead)
    assert record[b"reason"] == b"poison"
    assert record[b"raw"] == stored
    sandbox.wait_empty()
    assert last.running
    assert sandbox.state(key) is None
    assert last.lines("dead_letter.written")[0]["reason"] == "poison"
    assert sandbox.redis.hlen(names.RETURNS) == 0


def test_a_death_in_mid_call_follows_the_limit_of_ambiguous_attempts(sandbox: Sandbox) -> None:
    """Once claimed it is not poison: two deaths are one call and its allowed repetition."""
    key = sandbox.send(key=f"{DIES_IN_CALL}-1")
    for _ in range(2):
        wait_death(start(sandbox))
    last = start(sandbox)
    sandbox.wait_state(key, "dead")
    record = sandbox.record(key)
    assert (record["reason"], record["deaths"], record["ambiguous"], record["attempt"]) == (
        "ambiguous",
        "2",
        "2",
        "2",
    )
    sandbox.wait_empty()
    assert last.running
    assert sandbox.gateway.submissions() == []


def _left_more_than(worker: RunningWorker, times: int) -> bool:
    return len(worker.lines("message.left")) > times


def test_a_message_that_waits_because_redis_is_full_is_not_taken_for_poison(sandbox: Sandbox) -> None:
    """Its worker lives: three returns of that kind, and it is called."""
    worker = start(sandbox)
    key = sandbox.send(key=f"{FULL_AT_CLAIM}-1")
    try:
        for time in range(3):
            wait_for(partial(_left_more_than, worker, time), LIMIT_SECONDS, "the message to be left alone")
            assert sandbox.redis.hlen(names.RETURNS) == 0
            sandbox.redis.config_set("maxmemory", 0)
        sandbox.wait_state(key)
    finally:
        sandbox.redis.config_set("maxmemory", 0)
    sandbox.wait_empty()
    assert sandbox.redis.zcard(names.DEAD) == 0
