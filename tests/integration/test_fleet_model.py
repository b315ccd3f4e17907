"""The fleet's promises on random walks, and walks on scripts that break one of them on purpose."""

import collections
from collections.abc import Iterator

import pytest

from tests.support.fleet_walk import FleetWalk
from worker.embedded.server import Server, start_server
from worker.store import scripts

WALKS = 100
STEPS = 60
ANSWERS = {
    *(f"claim {word}" for word in ("call", "parked", "refused", "elsewhere", "limited", "buried")),
    *(f"finish {word}" for word in ("", "widened", "blocked", "stopped", "sending")),
    *(f"report {word}" for word in ("", "stopped", "trial", "sending")),
    *("hold held", "hold ", "resume trial", "resume unblocked", "resume ", "unblock "),
}
BREAKS = {
    "F1: stopped fleets go on calling": (
        "sending/state",
        "if s.state == 'stopped' or s.state == 'held' then return 'park' end",
        "",
    ),
    "F1: dead letters for a person are called": (
        "sending/state",
        "if s.state == 'stopped' and s.mends == 'person' then return 'refuse' end",
        "",
    ),
    "F1: a trial has no width": (
        "sending/state",
        "if redis.call('ZCARD', trial) >= number(s.width) then return false end",
        "",
    ),
    "F1: a claim executed twice takes two places": (
        "sending/state",
        "redis.call('ZADD', trial, lease_until, token)",
        "",
    ),
    "F1: a refusal blocks nobody": (
        "sending/state",
        "if effect == 'blocks' and block(sending, now, config, why) then news = 'blocked' end",
        "",
    ),
    "F1: results of an older generation count": (
        "sending/state",
        "if generation ~= number(s.generation) or s.state == 'held' then return nil end",
        "if s.state == 'held' then return nil end",
    ),
    "F2: time brings no trial": ("sending/state", "if s.mends == 'time' and age", "if false and age"),
    "F2: a fit worker brings no trial": (
        "sending/state",
        "if s.row ~= 'spending_cap' and seen.able and age(now, s.since) >= pause then",
        "if false then",
    ),
    "F2: a trial without candidates does not end": (
        "sending/state",
        "if is_idle then return",
        "if false then return",
    ),
    "F2: a dead worker keeps its place": (
        "sending/state",
        "redis.call('ZREMRANGEBYSCORE', trial, '-inf', stamp(now))",
        "",
    ),
    "F2: workers that are gone count as able": (
        "sending/state",
        "local LIVE_SECONDS = 6",
        "local LIVE_SECONDS = 1e9",
    ),
    "F1: a hold stops nobody": (
        "sending/state",
        "if s.state == 'stopped' or s.state == 'held' then return 'park' end",
        "if s.state == 'stopped' then return 'park' end",
    ),
    "a reply ends a hold": (
        "sending/state",
        "if generation ~= number(s.generation) or s.state == 'held' then return nil end",
        "if s.state ~= 'held' and generation ~= number(s.generation) then return nil end",
    ),
    "a configuration ends the trial of another": (
        "sending/state",
        "if not seen.able then return stop(sending, now, s, seen.why or why) end",
        "if true then return stop(sending, now, s, why) end",
    ),
    "F4: the window forgets that forms leave later": (
        "ledger/numbers",
        "moment > now - window_seconds and",
        "moment > now - window_seconds + 30 and",
    ),
    "F4: a form that left gives its place back": (
        "ledger/finish",
        "kind == 'nothing' then give_place_back",
        "true then give_place_back",
    ),
    "F4: nobody counts": ("ledger/claim", "if per_minute > 0 then take_place(", "if false then take_place("),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_server() as server:
        yield server


def walk(server: Server, seed: int) -> collections.Counter[str]:
    """Take one walk and return how often each step had which answer."""
    taken = FleetWalk(server.url, seed)
    try:
        taken.go(STEPS)
    except AssertionError as error:
        error.add_note("\n".join([f"walk {seed}:", *taken.history]))
        raise
    finally:
        taken.close()
    return taken.answers


def walks(server: Server) -> collections.Counter[str]:
    """Take all walks."""
    total: collections.Counter[str] = collections.Counter()
    for seed in range(WALKS):
        total += walk(server, seed)
    return total


@pytest.fixture(scope="module")
def answers(server: Server) -> collections.Counter[str]:
    return walks(server)


def test_the_fleet_keeps_its_promises_after_every_step(answers: collections.Counter[str]) -> None:
    """State, row and blocks are the model's; F1 after each claim, F2, F3 and F4 at each end."""
    assert answers.total() > WALKS * STEPS / 2


def test_the_walks_meet_every_answer_that_a_script_has(answers: collections.Counter[str]) -> None:
    """Else the promises would have been tried in vain."""
    assert {word for word in ANSWERS if answers[word] < 3} == set()


@pytest.mark.parametrize("which", BREAKS)
def test_a_script_that_breaks_a_promise_is_found(
    server: Server, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    file, text, broken = BREAKS[which]
    read_file = scripts.read_file
    assert read_file(file).count(text) == 1, "the script reads otherwise now"
    monkeypatch.setattr(
        scripts,
        "read_file",
        lambda name: read_file(name).replace(text, broken) if name == file else read_file(name),
    )
    with pytest.raises(AssertionError):
        walks(server)
