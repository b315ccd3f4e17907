"""The heartbeat of a real worker, as `python -m worker.process.health` sees it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from config.settings import SettingsError, load
from tests.support.proxy import Proxy
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, ROOT, wait_for

MAX_AGE_SECONDS = 3


def healthy(sandbox: Sandbox, max_age_seconds: float = MAX_AGE_SECONDS, *, option: str = "--ready") -> bool:
    environment = {
        **os.environ,
        "VOICECODE_HEARTBEAT_FILE": str(sandbox.heartbeat()),
        "VOICECODE_HEARTBEAT_MAX_AGE_SECONDS": str(max_age_seconds),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-m", "worker.process.health", option],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1)
    return done.returncode == 0


def wait_health(sandbox: Sandbox, *, healthy_: bool, seconds: float = 15) -> None:
    wait_for(lambda: healthy(sandbox) is healthy_, seconds, "health" if healthy_ else "ill health")


def test_a_worker_is_healthy_while_it_consumes_and_only_then(sandbox: Sandbox) -> None:
    with Proxy().start(sandbox.server.port) as proxy:
        assert not healthy(sandbox)
        worker = sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0")
        wait_health(sandbox, healthy_=True)
        worker.signal(signal.SIGSTOP)
        wait_health(sandbox, healthy_=False)
        worker.signal(signal.SIGCONT)
        wait_health(sandbox, healthy_=True)
        proxy.cut()
        wait_health(sandbox, healthy_=False)
        proxy.heal()
        wait_health(sandbox, healthy_=True)
        proxy.freeze()
        wait_health(sandbox, healthy_=False)
        proxy.heal()
        wait_health(sandbox, healthy_=True)
        assert worker.stop() == 0
        wait_health(sandbox, healthy_=False)


def test_a_worker_that_waits_for_redis_is_live_and_not_ready_and_one_that_hangs_is_neither(
    sandbox: Sandbox,
) -> None:
    """An outage outlasts the age limit of heartbeats; a restart then would lose outcomes."""

    def live() -> bool:
        return healthy(sandbox, 1, option="--live")  # 4 s

    with Proxy().start(sandbox.server.port) as proxy:
        assert not live()
        proxy.cut()
        worker = sandbox.worker(broker_url=f"redis://127.0.0.1:{proxy.port}/0", ready=False)
        wait_for(live, LIMIT_SECONDS, "life, though Redis was never there")
        assert not healthy(sandbox)
        proxy.heal()
        wait_health(sandbox, healthy_=True, seconds=LIMIT_SECONDS)
        for fault in (proxy.cut, proxy.freeze):
            fault()
            wait_health(sandbox, healthy_=False, seconds=LIMIT_SECONDS)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                assert live()
                time.sleep(0.2)
            proxy.heal()
            wait_health(sandbox, healthy_=True, seconds=LIMIT_SECONDS)
        worker.signal(signal.SIGSTOP)
        wait_for(lambda: not live(), LIMIT_SECONDS, "death")
        worker.signal(signal.SIGCONT)
        wait_for(live, LIMIT_SECONDS, "life")


def test_a_worker_with_every_slot_taken_stays_healthy_at_the_smallest_age_that_is_allowed(
    sandbox: Sandbox,
) -> None:
    """It fetches nothing then, and that is no illness: a restart would only add ambiguous calls."""
    sandbox.worker(
        concurrency=2,
        attempt_deadline_seconds=3,
        read_timeout_seconds=3,
        lease_seconds=4,
        visibility_timeout_seconds=5,
    )
    wait_health(sandbox, healthy_=True)
    sandbox.gateway.rates({"slow:2.9": 1.0})
    sandbox.send_all(4)
    wait_for(lambda: len(sandbox.gateway.submissions()) == 2, LIMIT_SECONDS, "two calls")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert healthy(sandbox, max_age_seconds=6)
        time.sleep(0.3)


def test_an_age_that_a_busy_worker_would_exceed_is_refused() -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_MAX_AGE_SECONDS"):
        load(_env_file=None, heartbeat_max_age_seconds=12, attempt_deadline_seconds=10)
