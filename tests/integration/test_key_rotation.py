"""The keys of the seals are rotated under load, as docs/security.md tells it: nobody notices."""

import base64
import threading
import time
from typing import Any, Final

from config import names
from config.settings import Settings, load
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, SHORT_TIMES, RunningWorker, wait_for
from worker.sealing import Seals, seals_of
from worker.sealing.reseal import count_by_key, reseal

OLD, NEW = (
    f"{name}:{base64.urlsafe_b64encode((name * 4).encode() + b'rotation').decode()[:43]}"
    for name in ("k-old1", "k-new1")
)
PER_SECOND: Final = 50
PATIENT: Final = ("timeout_seconds", "deadline_seconds", "lease_seconds", "hold_seconds", "grace_seconds")
ROUNDS: Final[tuple[tuple[str, ...], ...]] = ((OLD, NEW), (NEW, OLD), (NEW,))


def seals(*given: str) -> Seals:
    found = seals_of(load(_env_file=None, seal_keys=",".join(given)))
    assert found is not None
    return found


class Load(threading.Thread):
    """Sends codes at a steady rate; every second one is sealed by its producer."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(daemon=True)
        self.public = seals(OLD)
        """The producer seals under the newest of these."""
        self.sent: list[str] = []
        self._sandbox = sandbox
        self._producer = sandbox.producer()
        self._over = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self._over.is_set():
            index = len(self.sent)
            key, mobile = f"load{index}", f"139{index:08}"
            more: dict[str, Any] = {"key": key, "expires_at": time.time() + 3_000}
            if index % 2:
                more["sealed"] = self.public.seal(mobile, "482913", key=key)
            arguments = [] if index % 2 else [mobile, "482913"]
            self._producer.send_task(names.SEND_TASK, args=arguments, kwargs=more, queue=names.QUEUE)
            self.sent.append(key)
            self._over.wait(max(0.0, began + index / PER_SECOND - time.monotonic()))

    def stop(self) -> list[str]:
        self._over.set()
        self.join()
        return self.sent


def test_a_rotation_under_load_leaves_no_dead_letter(sandbox: Sandbox) -> None:
    # Times as in production: on a busy machine the short ones of the tests make ambiguous codes.
    given = {name: Settings.model_fields[name].default for name in SHORT_TIMES if name.endswith(PATIENT)}
    given |= {"digest_key": "a key of these tests", "max_attempts": 20}

    def start(*keys: str) -> RunningWorker:
        return sandbox.worker(seal_keys=",".join(keys), **given)

    workers = [start(OLD), start(OLD)]
    load = Load(sandbox)
    load.start()
    for keys in ROUNDS:
        if keys == (NEW,):
            wait_for(lambda: not pending(sandbox), 2 * LIMIT_SECONDS, "nothing under the old key")
        for worker in workers:
            assert worker.stop() == 0
        workers = [start(*keys), start(*keys)]
        if keys[0] == NEW:
            load.public = seals(NEW)
        time.sleep(1)
    sent = load.stop()
    sandbox.wait_state(sent)

    assert len(sent) > PER_SECOND * 3
    dead = sandbox.redis.zrange(names.DEAD, 0, -1)
    assert [(key, sandbox.record(key)["reason"]) for key in dead] == []
    assert len(sandbox.gateway.calls()) == len(sent)


def pending(sandbox: Sandbox) -> int:
    """Reseal, and return how many records or messages still need the old key."""
    list(reseal(sandbox.redis, seals(NEW, OLD)))
    old = OLD.partition(":")[0]
    waiting = sandbox.redis.lrange(names.QUEUE, 0, -1) + list(sandbox.redis.hvals(names.UNACKED))
    texts = [base64.b64decode(item.split('"body": "')[1].split('"')[0]).decode() for item in waiting]
    return count_by_key(sandbox.redis)[old] + sum(f'"{old}.' in text for text in texts)
