"""A worker asked to end finishes what it has begun and puts back the rest."""

import itertools
import signal
import threading
import time

import pytest

from tests.support.proxy import Proxy
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, RunningWorker, wait_for


def in_flight(sandbox: Sandbox, count: int, seconds: float) -> list[str]:
    """Have so many calls in hand, each answered after some seconds."""
    sandbox.wait_waiting()
    sandbox.gateway.rates({f"slow:{seconds}": 1.0})
    keys = sandbox.send_all(count)
    wait_for(lambda: len(sandbox.gateway.submissions()) >= count, LIMIT_SECONDS, "the calls")
    return keys


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(sandbox: Sandbox) -> None:
    worker = sandbox.worker()
    keys = in_flight(sandbox, 5, 0.7)
    assert worker.stop() == 0
    assert sandbox.states(keys) == ["accepted"] * 5
    assert sandbox.standing() == {}
    assert len(sandbox.gateway.calls()) == 5


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_second_signal_loses_nothing(sandbox: Sandbox, second: signal.Signals) -> None:
    """It may end the worker in mid-call; what it had is taken up by the next one."""
    worker = sandbox.worker()
    keys = in_flight(sandbox, 3, 0.7)
    worker.signal(signal.SIGTERM)
    time.sleep(0.1)
    worker.signal(second)
    wait_for(lambda: not worker.running, LIMIT_SECONDS, "the worker's end")
    sandbox.gateway.rates({})
    sandbox.worker()
    sandbox.wait_state(keys)
    sandbox.wait_empty()
    ambiguous = sum(int(sandbox.record(key).get("ambiguous", 0)) for key in keys)
    assert len(sandbox.gateway.calls()) == 3 + ambiguous


def test_an_outcome_that_cannot_be_written_before_the_end_is_in_the_log_and_the_end_comes_in_time(
    sandbox: Sandbox,
) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        worker = sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0", shutdown_grace_seconds=2)
        (key,) = in_flight(sandbox, 1, 0.6)
        proxy.cut()
        sandbox.wait_log(worker, "outcome.delayed")
        asked = time.monotonic()
        status = worker.stop()
        seconds = time.monotonic() - asked
        print(f"ended after {seconds:.1f} s with a grace of 2 s, status {status}")  # noqa: T201
        assert status == 0
        assert seconds < 2 + 8
        (line,) = worker.lines("outcome.unwritten")
        (call,) = sandbox.gateway.calls()
        assert (line["key"], line["attempt"], line["outcome"], line["voice_id"]) == (
            key,
            1,
            "accepted",
            call.voice_id,
        )


def test_a_worker_that_waits_for_redis_ends_when_it_is_asked_to(sandbox: Sandbox) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        worker = sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0", shutdown_grace_seconds=2)
        sandbox.wait_waiting()
        proxy.cut()
        time.sleep(1)
        asked = time.monotonic()
        status = worker.stop()
        print(f"ended after {time.monotonic() - asked:.1f} s, status {status}")  # noqa: T201
        assert time.monotonic() - asked < 2 + 8
        assert status == 0


class Load(threading.Thread):
    """A steady stream of codes from one stock producer."""

    def __init__(self, sandbox: Sandbox, per_second: float) -> None:
        super().__init__(daemon=True)
        self.sent: dict[str, float] = {}
        self._scene = sandbox
        self._pause = 1 / per_second
        self._over = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self._over.wait(self._pause):
                return
            key = f"load{number}"
            self.sent[key] = time.time()
            self._scene.send(f"139{number:08}", key=key)

    def stop(self) -> list[str]:
        self._over.set()
        self.join()
        return list(self.sent)


def longest_wait(sandbox: Sandbox, load: Load, keys: list[str]) -> float:
    """Return the longest wait from enqueueing to call. Seconds."""
    calls = {call.mobile: call.at for call in sandbox.gateway.calls()}
    return max(calls[f"139{int(key.removeprefix('load')):08}"] - load.sent[key] for key in keys)


def replace(workers: list[RunningWorker], sandbox: Sandbox) -> None:
    """End each of the workers and start another in its place, one after the other."""
    for old in list(workers):
        assert old.stop() == 0
        workers.remove(old)
        workers.append(sandbox.worker())


def test_in_a_rolling_restart_of_three_workers_no_code_waits_long(sandbox: Sandbox) -> None:
    workers = [sandbox.worker(ready=False) for _ in range(3)]
    for worker in workers:
        worker.wait_ready()
    sandbox.wait_waiting(3)
    load = Load(sandbox, per_second=20)
    load.start()
    time.sleep(1)
    calm = list(load.sent)
    replace(workers, sandbox)
    keys = load.stop()
    sandbox.wait_state(keys)
    sandbox.wait_empty()
    assert len(sandbox.gateway.calls()) == len(keys)
    assert [sandbox.record(key)["attempt"] for key in keys] == ["1"] * len(keys)
    waits = longest_wait(sandbox, load, calm), longest_wait(sandbox, load, keys)
    print(f"{len(keys)} codes; longest wait {waits[0]:.2f} s before, {waits[1]:.2f} s during the restart")  # noqa: T201
    assert waits[1] < waits[0] + 2
