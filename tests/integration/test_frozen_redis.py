"""Every script executed twice: Redis is frozen for longer than the socket time-out just when a worker sends it.

The client repeats what it got no answer to; when Redis thaws, it executes both. Nothing may be counted twice, and nobody may
be kept from his call by his own first try.
"""

import hashlib
from collections.abc import Iterator

import pytest

from tests.support.crash_runner import CrashRunner
from tests.support.crashes import Crash
from tests.support.nursery import Nursery
from tests.support.simulator import start_simulator
from worker.embedded import start_server
from worker.ledger import scripts

ONCE = {"calls": 1, "ambiguous": 0}
NO_CALL = {"calls": 0, "ambiguous": 0}
FREEZES = {
    "fetch": Crash(meets="new", fault="fetch:before:1:stall", **ONCE),
    "claim": Crash(meets="new", fault="claim:before:1:stall", **ONCE),
    "finish": Crash(meets="new", fault="finish:before:1:stall", **ONCE),
    "ack": Crash(meets="new", fault="ack:before:1:stall", **ONCE),
    "give_back": Crash(meets="new", fault="fetch:sent:1:stop,give_back:before:1:stall", **ONCE),
    "finish, for a retry": Crash(meets="new", fault="finish:before:1:stall", plays=("0",), **ONCE),
    "finish, ambiguous": Crash(meets="new", fault="finish:before:1:stall", plays=("accepted_then_reset",), calls=2, ambiguous=1),
    "finish, dead": Crash(meets="new", fault="finish:before:1:stall", plays=("4030",), end="permanent", **NO_CALL),
    "claim, too late": Crash(meets="late", fault="claim:before:1:stall", end="expired", **NO_CALL),
    "claim, of a hint": Crash(meets="replayed", fault="resume:before:1:stall", **ONCE),
    "claim, after a death": Crash(meets="lease over", fault="resume:before:1:stall", calls=1, ambiguous=1),
    "upkeep": Crash(meets="replayed", fault="upkeep:before:1:stall", **ONCE),
    "upkeep, burying": Crash(meets="waiting expired", fault="upkeep:before:1:stall", end="expired", **NO_CALL),
    "upkeep, after a death": Crash(meets="calling expired", fault="upkeep:before:1:stall", end="ambiguous", calls=0, ambiguous=1),
    "sweep": Crash(meets="left in unacked", fault="sweep:before:1:stall", **ONCE),
    "refuse": Crash(meets="bad input", fault="refuse:before:1:stall", end="bad_input", **NO_CALL),
    "refuse, of a used key": Crash(meets="conflict", fault="refuse:before:1:stall", end="key_conflict", **NO_CALL),
    "refuse, of another task": Crash(meets="unknown task", fault="refuse:before:1:stall", end="unknown_task", **NO_CALL),
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[CrashRunner]:
    wanted = {item.callspec.params["which"] for item in request.session.items if item.module is request.module}  # type: ignore[attr-defined]
    with start_server() as server, start_simulator() as simulator, Nursery() as nursery:
        runner = CrashRunner(server, simulator, nursery, tmp_path_factory.mktemp("freezes"))
        runner.begin(crash for which, crash in FREEZES.items() if which in wanted)
        try:
            yield runner
        finally:
            runner.close()


@pytest.mark.parametrize("which", FREEZES)
def test_a_script_that_a_frozen_redis_executes_twice_counts_once(runner: CrashRunner, which: str) -> None:
    crash = FREEZES[which]
    end = runner.end(crash)
    assert (end.word, end.calls, end.ambiguous) == (crash.end, crash.calls, crash.ambiguous)
    assert end.dead == ([] if crash.end == "accepted" else [end.key])
    name = which.partition(",")[0]
    if name in {
        "claim",
        "finish",
        "upkeep",
        "refuse",
        "give_back",
    }:  # a sweep looks like the next one, and the rest are no such scripts
        assert hashlib.sha1(scripts.source(name).encode(), usedforsecurity=False).hexdigest() in end.twice
