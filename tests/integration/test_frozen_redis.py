"""Every script executed twice.

Redis is frozen for longer than the socket time-out just when a worker sends it.

The client repeats what it got no answer to; when Redis thaws, it executes both. Nothing may be
counted twice, and nobody may be kept from his call by his own first try.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.crash_runner import CrashRunner
from tests.support.crashes import Crash
from tests.support.simulator import start_simulator
from worker.embedded.server import start_server
from worker.store import scripts


def freeze(  # noqa: PLR0913 - one argument per column
    situation: str,
    fault: str,
    calls: int = 1,
    ambiguous: int = 0,
    *,
    end: str = "accepted",
    scenario: str = "",
) -> Crash:
    """Return what a worker meets when Redis is frozen at a point."""
    scenarios = (scenario,) if scenario else ()
    return Crash(
        situation=situation,
        fault=f"{fault}:1:stall",
        calls=calls,
        ambiguous=ambiguous,
        end=end,
        scenarios=scenarios,
    )


FREEZES = {
    "fetch": freeze("new", "fetch:before"),
    "claim": freeze("new", "claim:before"),
    "finish": freeze("new", "finish:before"),
    "ack": freeze("new", "ack:before"),
    "give_back": freeze("new", "fetch:sent:1:stop,give_back:before"),
    "finish, for a retry": freeze("new", "finish:before", scenario="0"),
    "finish, ambiguous": freeze("new", "finish:before", scenario="accepted_then_reset", calls=2, ambiguous=1),
    "finish, dead": freeze("new", "finish:before", scenario="4030", end="permanent", calls=0),
    "claim, too late": freeze("late", "claim:before", end="expired", calls=0),
    "claim, of a hint": freeze("replayed", "resume:before"),
    "claim, after a death": freeze("lease over", "resume:before", calls=1, ambiguous=1),
    "upkeep": freeze("replayed", "upkeep:before"),
    "upkeep, burying": freeze("waiting expired", "upkeep:before", end="expired", calls=0),
    "upkeep, after a death": freeze(
        "calling expired", "upkeep:before", end="ambiguous", calls=0, ambiguous=1
    ),
    "sweep": freeze("left in unacked", "sweep:before"),
    "refuse": freeze("bad input", "refuse:before", end="bad_input", calls=0),
    "refuse, of a used key": freeze("conflict", "refuse:before", end="key_conflict", calls=0),
    "refuse, of another task": freeze("unknown task", "refuse:before", end="unknown_task", calls=0),
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[CrashRunner]:
    items: list[Any] = request.session.items
    wanted = {item.callspec.params["which"] for item in items if item.module is request.module}
    with start_server() as server, start_simulator() as simulator:
        runner = CrashRunner(server, simulator, tmp_path_factory.mktemp("freezes"))
        runner.begin(crash for which, crash in FREEZES.items() if which in wanted)
        try:
            yield runner
        finally:
            runner.close()


@pytest.mark.parametrize("which", FREEZES)
def test_a_script_that_a_frozen_redis_executes_twice_counts_once(runner: CrashRunner, which: str) -> None:
    crash = FREEZES[which]
    end = runner.end(crash)
    assert (end.status, end.calls, end.ambiguous) == (crash.end, crash.calls, crash.ambiguous)
    assert end.dead == ([] if crash.end == "accepted" else [end.key])
    name = which.partition(",")[0]
    home = {
        "claim": "ledger",
        "finish": "ledger",
        "upkeep": "ledger",
        "refuse": "ledger",
        "give_back": "transport",
    }.get(name)
    if home:  # a sweep looks like the next one, and the rest are no such scripts
        assert (
            hashlib.sha1(scripts.source(f"{home}/{name}").encode(), usedforsecurity=False).hexdigest()
            in end.twice
        )
