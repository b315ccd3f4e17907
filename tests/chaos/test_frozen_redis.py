"""Redis is frozen for longer than every time-out, with its connections up."""

import time

import pytest

from tests.support.sandbox import Sandbox, frozen
from tests.support.workers import LIMIT_SECONDS, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

BOUND_SECONDS = 15


@pytest.mark.parametrize("seconds", [7, 14])
def test_a_redis_that_was_frozen_is_served_again_and_each_code_is_called_once(
    sandbox: Sandbox, seconds: float
) -> None:
    """Scripts ran and their answers were lost to the time-out: a repetition must be recognised."""
    patient = {"lease_seconds": 30, "visibility_timeout_seconds": 32}
    workers = [sandbox.worker(ready=False, **patient) for _ in range(2)]  # type: ignore[arg-type]
    for worker in workers:
        worker.wait_ready()
    sandbox.wait_waiting(2)
    sandbox.gateway.rates({"slow:0.4": 1.0})
    keys = sandbox.send_all(15)
    wait_for(lambda: len(sandbox.gateway.submissions()) >= 5, LIMIT_SECONDS, "calls in hand")
    with frozen(sandbox.server.pid):
        time.sleep(seconds)
    back = time.monotonic()
    keys += sandbox.send_all(5)
    sandbox.wait_state(keys, seconds=BOUND_SECONDS + 32)
    print(f"all accepted {time.monotonic() - back:.1f} s after it went on")  # noqa: T201
    assert len(sandbox.gateway.calls()) == 20
    assert all(sandbox.record(key).get("ambiguous", "0") == "0" for key in keys)
    sandbox.wait_empty(40)
    sandbox.wait_waiting(2)
