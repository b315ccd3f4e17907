"""A worker is killed, frozen or cut off: its codes go on within the lease and two seconds.

Times are scaled down by settings: a lease of 1.5 s in place of 15. For busy machines the asserted
bound is three times the promise; `pytest -s` prints what was measured.
"""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.fault_markers import FREEZES_BEFORE_POST
from tests.support.proxy import Proxy
from tests.support.sandbox import MOBILE, Sandbox
from tests.support.workers import LIMIT_SECONDS, SHORT_TIMES, RunningWorker, wait_for

BOUND_SECONDS = 3 * (float(SHORT_TIMES["lease_seconds"]) + 2)


def call_in_hand(
    sandbox: Sandbox, *scenarios: str, worker: RunningWorker, idle: RunningWorker | None = None
) -> str:
    """Bring `worker`, not the idle one, into mid-call; its attempts meet `scenarios`."""
    sandbox.gateway.script(MOBILE, list(scenarios))
    if idle:
        idle.signal(signal.SIGSTOP)
    key = sandbox.send()
    sandbox.wait_submitted()
    if idle:
        wait_for(lambda: worker.running and sandbox.state(key) == "calling", LIMIT_SECONDS, "the claim")
    return key


def two_workers(sandbox: Sandbox, **settings: object) -> list[RunningWorker]:
    workers = [sandbox.worker(ready=False, broker_url=sandbox.url, **settings) for _ in range(2)]  # type: ignore[arg-type]
    for worker in workers:
        worker.wait_ready()
    sandbox.wait_waiting(2)
    return workers


@pytest.mark.parametrize("who", ["another", "restarted"])
def test_a_call_whose_worker_was_killed_is_taken_up_by_whoever_is_there(sandbox: Sandbox, who: str) -> None:
    if who == "another":
        victim, other = two_workers(sandbox)
        key = call_in_hand(sandbox, "silent:9", "2", worker=victim, idle=other)
        victim.kill()
        killed = time.monotonic()
        other.signal(signal.SIGCONT)
    else:
        victim = sandbox.worker()
        key = call_in_hand(sandbox, "silent:9", "2", worker=victim)
        victim.kill()
        killed = time.monotonic()
        victim.restart()
    sandbox.wait_state(key, seconds=BOUND_SECONDS)
    seconds = time.monotonic() - killed
    print(f"recovered by {who} after {seconds:.2f} s; lease + 2 = {BOUND_SECONDS / 3:.1f} s")  # noqa: T201
    record = sandbox.record(key)
    assert (record["state"], record["attempt"], record["ambiguous_total"]) == ("accepted", "2", "1")
    sandbox.wait_empty()


def test_messages_that_a_killed_worker_had_fetched_and_not_claimed_come_back(sandbox: Sandbox) -> None:
    """They stood in `unacked` only; nobody was called for them, and nothing is counted."""
    victim = sandbox.worker(options=("--prefetch-multiplier", "3"), concurrency=1)
    sandbox.wait_waiting()
    sandbox.gateway.rates({"silent:9": 1.0})
    keys = sandbox.send_all(3)
    wait_for(lambda: sandbox.redis.hlen("{voice_codes}:unacked") == 3, LIMIT_SECONDS, "all to be fetched")
    victim.kill()
    sandbox.gateway.rates({})
    sandbox.worker()
    sandbox.wait_state(keys, seconds=BOUND_SECONDS)
    assert sorted(record.get("ambiguous", "0") for record in map(sandbox.record, keys)) in (
        ["0", "0", "0"],
        ["0", "0", "1"],
    )
    sandbox.wait_empty()


def frozen_past_its_lease(sandbox: Sandbox, *scenarios: str, state: str) -> tuple[str, RunningWorker]:
    """Freeze a worker in mid-call until another one has brought the code to `state`; wake it."""
    sleeper, other = two_workers(sandbox)
    key = call_in_hand(sandbox, *scenarios, worker=sleeper, idle=other)
    sleeper.signal(signal.SIGSTOP)
    other.signal(signal.SIGCONT)
    sandbox.wait_state(key, state, seconds=BOUND_SECONDS)
    sleeper.signal(signal.SIGCONT)
    return key, sleeper


def test_a_worker_that_wakes_up_late_overwrites_nothing(sandbox: Sandbox) -> None:
    key, sleeper = frozen_past_its_lease(sandbox, "silent:0.7", "4030", state="dead")
    assert sandbox.wait_log(sleeper, "outcome.fenced")["key"] == key
    record = sandbox.record(key)
    assert (record["state"], record["reason"], record["row"], record["attempt"]) == (
        "dead",
        "permanent",
        "4030",
        "2",
    )
    assert (record["ambiguous"], json.loads(record["attempt:2"])["row"]) == ("1", "4030")
    assert len(sandbox.gateway.submissions(MOBILE)) == 2
    assert sandbox.redis.zcard("{voice_codes}:due") == 0


def test_a_call_that_was_accepted_while_its_worker_slept_is_owned_up_to(sandbox: Sandbox) -> None:
    """The gateway took both forms: the phone rings twice, and the log and record say so."""
    key, sleeper = frozen_past_its_lease(sandbox, "slow:0.4", "2", state="accepted")
    wait_for(lambda: sleeper.lines("attempt.finished"), LIMIT_SECONDS, "the sleeper's outcome")
    record = sandbox.record(key)
    assert (record["state"], record["ambiguous_total"], record["attempt"]) == ("accepted", "1", "2")
    if record["calls"] == "2":
        sandbox.wait_log(sleeper, "call.doubled")
    else:
        assert (record["calls"], sleeper.lines("call.doubled")) == ("1", [])
    assert len(sandbox.gateway.calls(MOBILE)) == 2


def test_a_worker_that_was_frozen_between_claim_and_post_sends_nothing_when_it_wakes_up_past_the_deadline(
    sandbox: Sandbox,
) -> None:
    worker = sandbox.worker(app="tests.support.dying_app", lease_seconds=6, visibility_timeout_seconds=8)
    key = sandbox.send(key=f"{FREEZES_BEFORE_POST}-1")
    stat = Path(f"/proc/{worker.pid}/stat")
    wait_for(
        lambda: stat.read_text().rpartition(")")[2].split()[0] == "T",
        LIMIT_SECONDS,
        "the worker to be frozen",
    )
    assert sandbox.state(key) == "calling"
    time.sleep(1.2)  # the attempt's deadline is a second
    assert sandbox.gateway.submissions() == []
    worker.signal(signal.SIGCONT)
    sandbox.wait_state(key)
    record = sandbox.record(key)
    # Whichever step saw first that the time was over; the rows of all of them say that no call was
    # placed.
    first = worker.lines("attempt.finished")[0]
    assert first["row"] in {"not_sent", "dns_failed", "connect_timeout"}
    assert (record["attempt"], record.get("ambiguous_total", "0")) == ("2", "0")
    assert len(sandbox.gateway.submissions()) == 1


def test_a_worker_that_is_cut_off_in_mid_call_writes_the_outcome_when_it_is_back(sandbox: Sandbox) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        worker = sandbox.worker(
            broker_url=f"redis://127.0.0.1:{proxy.port}/0", lease_seconds=6, visibility_timeout_seconds=8
        )
        key = call_in_hand(sandbox, "slow:0.5", worker=worker)
        proxy.cut()
        sandbox.wait_log(worker, "outcome.delayed")
        proxy.heal()
        sandbox.wait_state(key)
        assert sandbox.record(key).get("ambiguous", "0") == "0"
        assert len(sandbox.gateway.calls()) == 1
        sandbox.wait_empty(15)


def test_the_codes_of_a_worker_that_stays_cut_off_go_on_elsewhere(sandbox: Sandbox) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        lonely = sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0")
        key = call_in_hand(sandbox, "silent:9", "2", worker=lonely)
        proxy.cut()
        cut = time.monotonic()
        sandbox.worker()
        sandbox.wait_state(key, seconds=BOUND_SECONDS)
        print(f"taken up after {time.monotonic() - cut:.2f} s")  # noqa: T201
        proxy.heal()
        wait_for(lambda: lonely.lines("attempt.finished"), LIMIT_SECONDS, "the lonely one's outcome")
        assert sandbox.state(key) == "accepted"
        assert lonely.lines("attempt.finished")[0]["recorded"] == "appended"
        assert lonely.running


def test_a_worker_consumes_again_after_its_connection_was_cut_or_stuck(sandbox: Sandbox) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0")
        for trouble, seconds in ((proxy.cut, 1.0), (proxy.freeze, 2.0), (proxy.sever, 0.0)):
            sandbox.wait_waiting()
            trouble()
            time.sleep(seconds)
            key = sandbox.send()
            proxy.heal()
            print(f"after {trouble.__name__}: {sandbox.wait_state(key, seconds=15):.2f} s")  # noqa: T201
