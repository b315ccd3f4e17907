"""The night of the 405: somebody changes the account's key, and codes die by the thousand.

docs/failure-queue.md tells the same night: its commands run here, and their output must match it.
`VOICECODE_WRITE_DOCS=1` rewrites the page. `VOICECODE_NIGHT=N` sets the night's size, and compares
nothing.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import names, settings
from tests.support.command_line import ROOT, at_terminal, in_pipe
from tests.support.dead_letters import dead_letter, load, load_mixed
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, RunningWorker, enqueue, environment, stock_producer, wait_for
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue, Filter
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

PAGE = ROOT / "docs" / "failure-queue.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
NIGHT = int(os.environ.get("VOICECODE_NIGHT", "20000"))
STILL_ALIVE = NIGHT // 40
SUPERSEDED, MAY_HAVE_RUNG, FRESH = 20, 15, 40
NEW_KEY = "the-key-of-tomorrow"
UNSTABLE = (
    (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", "2026-01-31T03:12:07+08:00"),
    (r"\b\d\.\d{3}\b", "0.048"),
    (r"(?m) (?:-:--:--|\d:\d\d:\d\d)$", " 0:00:00"),
    (r"\b[0-9a-f]{12}\b", "5f2c81a0b9d4"),
    (r"celery@\S+", "celery@worker-1"),
    (r"\b1684\d{16}\b", "16842079209571524017"),
)


class Operator:
    """Types at a terminal, and keeps what stood there."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self.blocks: list[str] = []

    def types(self, line: str, *, answers: str = "", expects: int = 0) -> str:
        status, screen = at_terminal(self._env, *line.split()[1:], answers=answers)
        assert status == expects, screen
        for unstable, stable in UNSTABLE:
            screen = re.sub(unstable, stable, screen)
        self.blocks.append(f"$ {line}\n{screen}")
        return screen


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def env(server: Server, simulator: RunningSimulator) -> dict[str, str]:
    return environment(
        broker_url=server.url,
        gateway_url=simulator.url,
        operator="night-shift",
        host_name="worker-1",
        concurrency=20,
        upkeep_batch=20,
        stop_sending=True,
        code_grace_seconds=86_400,
    )


@pytest.fixture
def queue(server: Server) -> FailureQueue:
    configuration = settings.load(broker_url=server.url)
    return FailureQueue(connect(configuration), configuration, operator="test")


def the_key_is_changed(queue: FailureQueue, server: Server, simulator: RunningSimulator) -> dict[str, str]:
    """Let the night's codes die, the last ones by the real path; return number by key."""
    # Without a dynamic password, which plain http forbids, the old key is answered with 405.
    simulator.client.account("405")
    now = queue.now()
    # Less than the hour after which expired codes are retired: the counts must not depend on when.
    load_mixed(queue.client, NIGHT, now=now - 60, span_seconds=3000, sendable=STILL_ALIVE, only_405=True)
    rung = [
        dead_letter(
            100_000 + n,
            died_at=now - 50,
            expires_at=now + 3000,
            ambiguous_total=1,
            mobile=f"1370000{n:04d}",
            row="405",
        )
        for n in range(MAY_HAVE_RUNG)
    ]
    load(queue.client, rung)
    keys = list(queue.keys(Filter()))
    pipe: Any = queue.client.pipeline(transaction=False)
    for key in keys:
        pipe.hget(names.RECORD_PREFIX + key, "mobile")
    numbers = dict(zip(keys, pipe.execute(), strict=True))
    app, alive = stock_producer(server.url), {"expires_at": time.time() + 3000, "purpose": "login"}
    # Some ask again, and get another code: the first one works no more.
    again = {f"again:{n}": numbers[f"login:{NIGHT - 1 - n:08d}"] for n in range(SUPERSEDED)}
    fresh = {f"fresh:{n}": f"1380013{n:04d}" for n in range(FRESH)}
    for count, (key, mobile) in enumerate((again | fresh).items(), start=1):
        enqueue(app, mobile, "4711", key=key, **alive)
        if count == 1:
            # The first one meets the refusal. From then on nothing is submitted.
            wait_for(lambda: list(queue.keys(Filter(keys=("again:0",)))), LIMIT_SECONDS, "the first one")
    wait_for(
        lambda: queue.stats().total == NIGHT + MAY_HAVE_RUNG + SUPERSEDED + FRESH,
        LIMIT_SECONDS,
        "the codes to die",
    )
    enqueue(app, "13900139042", "0042", key="signup:42", **alive)
    wait_for(lambda: list(queue.keys(Filter(keys=("signup:42",)))), LIMIT_SECONDS, "the last one to die")
    return numbers | again | fresh | {"signup:42": "13900139042"}


def test_the_night_of_the_405(
    env: dict[str, str], queue: FailureQueue, server: Server, simulator: RunningSimulator, tmp_path: Path
) -> None:
    """Expired codes are not called, valid ones are called once, and all of it is on record."""
    operator = Operator(env)
    with RunningWorker(tmp_path / "worker.log", env).wait_ready() as worker:
        numbers = the_key_is_changed(queue, server, simulator)
        operator.types("voicecode account status")
        operator.types("voicecode dead stats")
        operator.types("voicecode dead list --mobile-ends 9042 --code 405")
        operator.types("voicecode dead show signup:42")
        too_soon = operator.types("voicecode dead replay --code 405 --canary", answers="y", expects=5)
        assert "the account is still at fault" in too_soon
        pages = [line for line in worker.lines() if line.get("alert") == "page"]
        assert [(line["event"], line["row"]) for line in pages] == [("sending.stopped", "405")]
    assert simulator.client.calls() == []

    simulator.client.account(None)
    simulator.client.apikeys(NEW_KEY)
    env["VOICECODE_APIKEY"] = NEW_KEY
    with RunningWorker(tmp_path / "restarted.log", env).wait_ready():
        wait_for(lambda: queue.client.hget(names.SENDING, "state") == "sending", LIMIT_SECONDS, "the return")
        operator.types("voicecode account status")
        operator.types("voicecode dead replay --code 405 --canary --rate 1000/s", answers="y")
        alive = STILL_ALIVE - SUPERSEDED + SUPERSEDED + FRESH + 1
        wait_for(lambda: len(simulator.client.calls()) >= alive, LIMIT_SECONDS, "the calls")
        operator.types("voicecode status signup:42")
        operator.types("voicecode dead stats")
        operator.types("voicecode dead discard --code 405 --no-ambiguous", answers="y")
        operator.types("voicecode dead audit --key signup:42")
        called = [call.mobile for call in simulator.client.calls()]
        # All is well again, as a try shows.
        assert in_pipe(env, "send", "13700137000", "1234", "--wait").returncode == 0
        simulator.client.account("4050")
        assert in_pipe(env, "send", "13700137001", "1234", "--wait").returncode == 1

    replayed = {line.key for line in queue.audit() if line.action == "replay"}
    assert len(called) == len(set(called)) == alive
    assert sorted(numbers[key] for key in replayed) == sorted(called)
    expired = {f"login:{n:08d}" for n in range(NIGHT - STILL_ALIVE)}
    superseded = {f"login:{NIGHT - 1 - n:08d}" for n in range(SUPERSEDED)}
    assert not replayed & (expired | superseded)
    states = states_of(queue, numbers)
    assert states == {
        "accepted": replayed,
        "discarded": expired | superseded,
        "dead": {f"login:{100_000 + n:08d}" for n in range(MAY_HAVE_RUNG)},
    }
    the_trail_is_complete(queue, replayed, expired | superseded)
    compare_with_page(operator.blocks)


def states_of(queue: FailureQueue, numbers: dict[str, str]) -> dict[str, set[str]]:
    """Return the keys by what became of them: each in exactly one state."""
    pipe: Any = queue.client.pipeline(transaction=False)
    for key in numbers:
        pipe.hmget(names.RECORD_PREFIX + key, "state", "discarded_at")
    found: dict[str, set[str]] = {}
    for key, (state, discarded) in zip(numbers, pipe.execute(), strict=True):
        found.setdefault("discarded" if discarded else state, set()).add(key)
    return found


def the_trail_is_complete(queue: FailureQueue, replayed: set[str], discarded: set[str]) -> None:
    lines = [line for line in queue.audit() if line.operator == "night-shift"]
    # The canary of the first try died and was replayed once more.
    assert len([line for line in lines if line.action == "replay"]) == len(replayed) + 1
    assert {line.key for line in lines if line.action == "discard"} == discarded
    assert [line.action for line in lines if not line.key] == ["end", "begin"] * 3


def compare_with_page(blocks: list[str]) -> None:
    """Compare what stood on the screen with the page, whatever the widths of columns."""
    if "VOICECODE_NIGHT" in os.environ:
        return
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("VOICECODE_WRITE_DOCS"):
        fresh = iter(blocks)
        PAGE.write_text(BLOCK.sub(lambda _: f"```console\n{next(fresh)}```", page), encoding="utf-8")
        return

    def plain(text: str) -> str:
        return re.sub(r"[ ─━╸╺]+", " ", text).strip()

    assert [plain(block) for block in BLOCK.findall(page)] == [plain(block) for block in blocks]
