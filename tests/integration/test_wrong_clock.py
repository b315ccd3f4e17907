"""Redis' clock judges what a message says about time: a worker's own may be wrong by an hour."""

import datetime as dt
import time

import pytest

from config import names
from tests.support.sandbox import CODE, MOBILE, Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for


@pytest.mark.parametrize("offset", [-3500, 3500])
def test_a_worker_whose_clock_is_wrong_calls_what_is_valid(
    sandbox: Sandbox, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    sandbox.worker(app="tests.support.wrong_clock_app")
    valid = sandbox.send(expires_at=time.time() + 300)
    eta = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    later = sandbox.producer().send_task(
        names.SEND_TASK, args=["13900139000", CODE], queue=names.QUEUE, eta=eta, task_id="later"
    )
    wait_for(lambda: sandbox.state(valid) in {"accepted", "dead"}, LIMIT_SECONDS, "the end")
    assert sandbox.record(valid)["state"] == "accepted", sandbox.record(valid)
    sandbox.wait_state([valid, str(later.id)])
    too_far = sandbox.send(expires_at=time.time() + 3700)
    expired = sandbox.send(expires_at=time.time() - 10)
    sandbox.wait_state([too_far, expired], "dead")
    assert [sandbox.record(key)["reason"] for key in (too_far, expired)] == ["bad_input", "expired"]
    assert "VOICECODE_MAX_TTL_SECONDS (3600)" in sandbox.record(too_far)["detail"]


def test_an_eta_that_is_too_far_ahead_is_bad_input(sandbox: Sandbox) -> None:
    sandbox.worker()
    eta = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    sent = sandbox.producer().send_task(
        names.SEND_TASK, args=[MOBILE, CODE], queue=names.QUEUE, eta=eta, task_id="too-late"
    )
    wait_for(lambda: sandbox.state(str(sent.id)) == "dead", LIMIT_SECONDS, "the dead letter")
    assert sandbox.record("too-late")["detail"].startswith("eta is more than VOICECODE_MAX_TTL_SECONDS")
