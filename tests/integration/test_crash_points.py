"""Every crash point: the worker dies before and after each script and the POST.

The next worker finds what is left and finishes the code. `calls` is from the gateway's journal,
`ambiguous` from the record: a claim whose worker died counts as ambiguous even without a call.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from config import names
from tests.support.crash_runner import CrashRunner
from tests.support.crashes import Crash
from tests.support.simulator import start_simulator
from worker.embedded.server import start_server

LOST = ("accepted_then_reset",)
"""The first reply is lost, and the phone rings."""
NEVER_TWICE = (("ambiguous_retries", 0),)
STOPS = (("stop_sending", True), ("probe_seconds", 0.5))
ONE_SLOT = (("concurrency", 1),)
"""A slot that is not given back stops the worker."""


def crashes(
    situation: str, points: Mapping[str, tuple[int, int]], end: str = "accepted", **more: Any
) -> list[Crash]:
    """Return one crash for each point; its value: calls placed, attempts counted as ambiguous."""
    return [
        Crash(situation=situation, fault=fault, calls=calls, ambiguous=ambiguous, end=end, **more)
        for fault, (calls, ambiguous) in points.items()
    ]


def around(*faults: str) -> dict[str, tuple[int, int]]:
    """Return points at which nothing may be called twice and nothing is ambiguous."""
    return dict.fromkeys(faults, (0, 0))


CALL = {"claim:after:1": (1, 1), "submit:before:1": (1, 1), "form:before:1": (1, 1), "form:after:1": (2, 1)}
"""A claim that nobody finishes: once more, by the limit of ambiguous attempts."""
RESUMED = {
    "resume:before:1": (1, 0),
    "resume:after:1": (1, 1),
    "submit:before:1": (1, 1),
    "form:before:1": (1, 1),
    "form:after:1": (2, 1),
    "submit:after:1": (2, 1),
    "finish:before:1": (2, 1),
    "finish:after:1": (1, 0),
    "ack:before:1": (1, 0),
    "ack:after:1": (1, 0),
}
HINTED = {
    "upkeep:before:1": (1, 0),
    "upkeep:after:1": (1, 0),
    "fetch:before:1": (1, 0),
    "fetch:after:1": (1, 0),
}

CRASHES = [
    # a new message, accepted at the first attempt
    *crashes(
        "new",
        {"fetch:before:1": (1, 0), "fetch:sent:1": (1, 0), "fetch:after:1": (1, 0), "claim:before:1": (1, 0)},
    ),
    *crashes("new", CALL | {"submit:after:1": (2, 1), "finish:before:1": (2, 1), "finish:after:1": (1, 0)}),
    *crashes("new", {"ack:before:1": (1, 0), "ack:after:1": (1, 0)}),
    *crashes(
        "new", {"fetch:sent:1:stop,give_back:before:1": (1, 0), "fetch:sent:1:stop,give_back:after:1": (1, 0)}
    ),
    # transient at first: the second attempt is a hint's
    *crashes(
        "new",
        {"submit:after:1": (1, 1), "finish:before:1": (1, 1), "finish:after:1": (1, 0)},
        scenarios=("0",),
    ),
    *crashes(
        "new", {"ack:before:1": (1, 0), "resume:before:1": (1, 0), "resume:after:1": (1, 1)}, scenarios=("0",)
    ),
    *crashes(
        "new", {"submit:before:2": (1, 1), "form:before:2": (1, 1), "form:after:2": (2, 1)}, scenarios=("0",)
    ),
    *crashes(
        "new",
        {"submit:after:2": (2, 1), "finish:before:2": (2, 1), "finish:after:2": (1, 0)},
        scenarios=("0",),
    ),
    # permanent
    *crashes(
        "new", {"submit:after:1": (0, 1), "finish:before:1": (0, 1)}, "permanent", scenarios=("4030", "4030")
    ),
    *crashes(
        "new",
        around("finish:after:1", "ack:before:1", "ack:after:1"),
        "permanent",
        scenarios=("4030", "4030"),
    ),
    # the first reply is lost: one more attempt, and not a second one
    *crashes(
        "new",
        {"finish:before:1": (2, 1), "finish:after:1": (2, 1), "resume:before:1": (2, 1)},
        scenarios=LOST,
    ),
    *crashes(
        "new",
        {"resume:after:1": (1, 2), "submit:before:2": (1, 2), "form:before:2": (1, 2)},
        "ambiguous",
        scenarios=LOST,
    ),
    *crashes(
        "new",
        {"form:after:2": (2, 2), "submit:after:2": (2, 2), "finish:before:2": (2, 2)},
        "ambiguous",
        scenarios=LOST,
    ),
    *crashes("new", {"finish:after:2": (2, 1)}, scenarios=LOST),
    # never call twice
    *crashes("new", {"claim:after:1": (0, 1), "form:before:1": (0, 1)}, "ambiguous", settings=NEVER_TWICE),
    *crashes("new", {"form:after:1": (1, 1), "finish:before:1": (1, 1)}, "ambiguous", settings=NEVER_TWICE),
    *crashes("new", {"finish:after:1": (1, 0)}, settings=NEVER_TWICE),
    # put back by an operator
    *crashes("replayed", HINTED | RESUMED),
    # its worker died: ambiguous once already
    *crashes("lease over", {"upkeep:before:1": (1, 1), "upkeep:after:1": (1, 1), "resume:before:1": (1, 1)}),
    *crashes(
        "lease over",
        {"resume:after:1": (0, 2), "form:after:1": (1, 2), "finish:before:1": (1, 2)},
        "ambiguous",
    ),
    *crashes("lease over", {"finish:after:1": (1, 1)}),
    # too late
    *crashes("late", around("claim:before:1", "claim:after:1", "ack:before:1", "ack:after:1"), "expired"),
    *crashes("waiting expired", around("upkeep:before:1", "upkeep:after:1"), "expired"),
    *crashes("calling expired", {"upkeep:before:1": (0, 1), "upkeep:after:1": (0, 1)}, "ambiguous"),
    # doubled messages
    *crashes(
        "duplicate of accepted", around("claim:before:1", "claim:after:1", "ack:before:1", "ack:after:1")
    ),
    *crashes("duplicate of dead", around("claim:before:1", "claim:after:1", "ack:before:1"), "permanent"),
    *crashes(
        "busy",
        {"claim:before:1": (1, 1), "claim:after:1": (1, 1), "ack:before:1": (1, 1), "ack:after:1": (1, 1)},
    ),
    *crashes(
        "early",
        {"claim:before:1": (1, 0), "claim:after:1": (1, 0), "ack:before:1": (1, 0), "ack:after:1": (1, 0)},
    ),
    # what cannot be called
    *crashes(
        "conflict",
        around("claim:after:1", "refuse:before:1", "refuse:after:1", "ack:before:1"),
        "key_conflict",
    ),
    *crashes(
        "bad input", around("refuse:before:1", "refuse:after:1", "ack:before:1", "ack:after:1"), "bad_input"
    ),
    *crashes(
        "unknown task",
        around("fetch:after:1", "refuse:before:1", "refuse:after:1", "ack:before:1"),
        "unknown_task",
    ),
    *crashes("unreadable", around("fetch:before:1", "fetch:sent:1"), "unreadable"),
    # what nobody reads
    *crashes("left in unacked", {"sweep:before:1": (1, 0), "sweep:after:1": (1, 0), "claim:after:1": (1, 1)}),
    *crashes("beside", {"sweep:before:1": (1, 0), "sweep:after:1": (1, 0), "claim:before:1": (1, 0)}),
]
BUGS = [
    *crashes("new", {"claim:before:1:raise": (1, 0), "claim:after:1:raise": (1, 1)}),
    *crashes(
        "new", {"submit:before:1:raise": (1, 1), "form:before:1:raise": (1, 1), "form:after:1:raise": (2, 1)}
    ),
    *crashes(
        "new",
        {"submit:after:1:raise": (2, 1), "finish:before:1:raise": (2, 1), "finish:after:1:raise": (1, 0)},
    ),
    *crashes("new", {"ack:before:1:raise": (1, 0), "ack:after:1:raise": (1, 0)}),
    *crashes(
        "replayed",
        {"upkeep:before:1:raise": (1, 0), "upkeep:after:1:raise": (1, 0), "resume:after:1:raise": (1, 1)},
    ),
    *crashes("bad input", around("refuse:before:1:raise", "refuse:after:1:raise"), "bad_input"),
    *crashes("unknown task", around("refuse:after:1:raise"), "unknown_task"),
    *crashes(
        "unknown task",
        around("refuse:before:1:raise,refuse:before:2:raise"),
        "unknown_task",
        settings=ONE_SLOT,
    ),
    *crashes("left in unacked", {"sweep:before:1:raise": (1, 0), "sweep:after:1:raise": (1, 0)}),
]
LOSSES = [
    *crashes("new", {"claim:before:1:lose": (1, 0), "claim:after:1:lose": (1, 0)}),
    *crashes("new", {"finish:before:1:lose": (1, 0), "finish:after:1:lose": (1, 0)}),
    *crashes("new", {"finish:after:1:lose": (2, 1)}, scenarios=LOST),
    *crashes("new", around("finish:after:1:lose"), "permanent", scenarios=("4030",)),
    *crashes("late", around("claim:after:1:lose"), "expired"),
    *crashes(
        "replayed",
        {"upkeep:after:1:lose": (1, 0), "resume:before:1:lose": (1, 0), "resume:after:1:lose": (1, 0)},
    ),
    *crashes("conflict", around("refuse:after:1:lose"), "key_conflict"),
    *crashes(
        "bad input", around("refuse:before:1:lose", "refuse:after:1:lose"), "bad_input", settings=ONE_SLOT
    ),
    *crashes(
        "unknown task",
        around("refuse:before:1:lose", "refuse:after:1:lose"),
        "unknown_task",
        settings=ONE_SLOT,
    ),
    *crashes("waiting expired", around("upkeep:before:1:lose", "upkeep:after:1:lose"), "expired"),
    *crashes("left in unacked", {"sweep:before:1:lose": (1, 0), "sweep:after:1:lose": (1, 0)}),
]
FREEZES = [
    *crashes("new", {"claim:after:1:freeze": (1, 1), "submit:before:1:freeze": (1, 1)}),
    # The last look at the time is done, and the form leaves when the worker wakes up: the one
    # moment that no clock covers.
    *crashes(
        "new",
        {"form:before:1:freeze": (2, 1), "form:after:1:freeze": (2, 1), "finish:before:1:freeze": (2, 1)},
    ),
    *crashes("new", {"finish:before:1:freeze": (1, 1)}, scenarios=("4030",)),
    *crashes("new", {"finish:before:1:freeze": (0, 1)}, "permanent", scenarios=("0", "4030")),
    *crashes("new", {"finish:before:1:freeze": (1, 1)}, scenarios=("2", "4030")),
]
FLEET = [
    # the account is frozen: the reply blocks the configuration and stops the fleet
    *crashes("new", {"finish:before:1": (1, 1)}, scenarios=("4050",), settings=STOPS),
    *crashes(
        "new", around("finish:after:1", "ack:before:1"), "permanent", scenarios=("4050",), settings=STOPS
    ),
    *crashes("new", around("finish:after:1:lose"), "permanent", scenarios=("4050",), settings=STOPS),
    # the account is empty: parked, until the balance takes the block back, and a trial begins
    *crashes(
        "new",
        {
            "finish:after:1": (1, 0),
            "report:after:3": (1, 0),
            "command:before:1": (1, 0),
            "command:after:1": (1, 0),
            "command:after:1:lose": (1, 0),
            "upkeep:after:1": (1, 0),
            "resume:after:1": (1, 1),
            "finish:before:2": (2, 1),
            "finish:after:2": (1, 0),
        },
        scenarios=("4051",),
        settings=STOPS,
    ),
    # a person has resumed
    *crashes(
        "on trial",
        {
            "report:before:1": (1, 0),
            "report:after:1": (1, 0),
            "claim:before:1": (1, 0),
            "claim:after:1": (1, 1),
            "claim:after:1:lose": (1, 0),
            "form:after:1": (2, 1),
            "finish:before:1": (2, 1),
            "finish:after:1": (1, 0),
            "finish:after:1:lose": (1, 0),
        },
        settings=STOPS,
    ),
    # the fleet has placed as many calls as it may
    *crashes(
        "purse empty",
        around("claim:before:1", "claim:after:1", "claim:after:1:lose", "ack:before:1", "report:after:2"),
        "permanent",
        settings=(*STOPS, ("calls_per_hour", 1)),
    ),
]
STATES = {"4050": "stopped 4050", "spending_cap": "stopped spending_cap"}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[CrashRunner]:
    items: list[Any] = request.session.items
    wanted = {item.callspec.params["crash"] for item in items if item.module is request.module}
    with (
        start_server(extra=("--databases", "200")) as server,
        start_simulator() as simulator,
    ):
        runner = CrashRunner(server, simulator, tmp_path_factory.mktemp("crashes"))
        runner.begin(crash for crash in [*CRASHES, *BUGS, *LOSSES, *FREEZES, *FLEET] if crash in wanted)
        try:
            yield runner
        finally:
            runner.close()


@pytest.mark.parametrize("crash", CRASHES, ids=str)
def test_after_a_crash_the_next_worker_brings_the_code_to_its_right_end(
    runner: CrashRunner, crash: Crash
) -> None:
    check(runner, crash)


@pytest.mark.parametrize("crash", BUGS, ids=str)
def test_a_bug_at_one_step_neither_loses_a_code_nor_ends_the_worker(
    runner: CrashRunner, crash: Crash
) -> None:
    check(runner, crash)


@pytest.mark.parametrize("crash", LOSSES, ids=str)
def test_a_script_whose_answer_was_lost_is_repeated_and_counts_once(
    runner: CrashRunner, crash: Crash
) -> None:
    check(runner, crash)


@pytest.mark.parametrize("crash", FREEZES, ids=str)
def test_a_worker_that_wakes_up_after_its_lease_overwrites_nothing_but_the_truth(
    runner: CrashRunner, crash: Crash
) -> None:
    """It places no call, and what it knows only counts where the gateway had accepted."""
    check(runner, crash)


@pytest.mark.parametrize("crash", FLEET, ids=str)
def test_a_crash_neither_stops_the_fleet_for_nothing_nor_lets_it_go_on(
    runner: CrashRunner, crash: Crash
) -> None:
    """Its record is in the state that the codes' own records tell of, moved to once."""
    check(runner, crash)
    end = runner.end(crash)
    state, row = end.sending.get("state", "sending"), end.sending.get("row", "")
    if crash.end == "permanent":
        assert f"{state} {row}" == STATES[end.record["row"]]
        assert end.sending["generation"] == "1"
        assert end.log.count('"alert": "page"') == 1
    else:
        assert state in {"sending", "trial"}


def check(runner: CrashRunner, crash: Crash) -> None:
    end = runner.end(crash)
    assert (end.status, end.calls, end.ambiguous) == (crash.end, crash.calls, crash.ambiguous)
    assert end.calls <= 1 + end.ambiguous
    assert end.dead == ([] if crash.end == "accepted" else [end.key])
    others = {key: record for key, record in end.records.items() if key != end.key}
    if crash.situation == "conflict":
        assert {key: record["state"] for key, record in others.items()} == {"k": "accepted"}
    else:
        assert others == {}
    assert names.RECORD_PREFIX not in end.log
