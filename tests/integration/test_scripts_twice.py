"""Every script executed twice with one token: the second time it changes nothing at all in Redis, and says what it said."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import names
from config.settings import Settings
from tests.support.crashes import LONG_AGO, MEETINGS, Scene, outcome, settings_for
from tests.support.ledger_compare import DUMP
from worker.embedded.server import Server
from worker.failure_queue.removal import Removal
from worker.ledger.finish import Outcome
from worker.message import Refused
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.store import keys, scripts
from worker.store.client import RedisAvailability
from worker.transport.unacked import RAW_CAP_BYTES, Unacked

Call = Callable[[], Any]
END = GiveUp(Reason.PERMANENT)


@pytest.fixture
def scene(server: Server) -> Iterator[Scene]:
    scene = Scene(server.url, "13800138000")
    yield scene
    scene.close()


def silent(call: Call) -> Call:
    """Return a call whose answer counts what it did: the second time that is nothing."""

    def run() -> None:
        call()

    return run


def claim_of(meets: str, *, hint: bool = False) -> Callable[[Scene], Call]:
    def prepare(scene: Scene) -> Call:
        MEETINGS[meets](scene)
        ledger = scene.ledger()
        if hint:
            return lambda: ledger.resume("k", token="once", worker="w").answer
        late = dataclasses.replace(scene.code, expires_at=time.time() - 1) if meets == "late" else scene.code
        return lambda: ledger.claim(late, token="once", worker="w", task_id="t", tag="tag").answer

    return prepare


def finish_of(code: int, decision: Decision, *, ambiguous: bool = False) -> Callable[[Scene], Call]:
    def prepare(scene: Scene) -> Call:
        claim, ledger = scene.claim(), scene.ledger()
        end: Outcome = outcome(claim, code, decision)
        if ambiguous:
            end = dataclasses.replace(
                end, row=dataclasses.replace(end.row, kind=type(end.row.kind)("ambiguous"))
            )
        return lambda: ledger.finish(end)

    return prepare


def refuse(scene: Scene) -> Call:
    ledger, refused = scene.ledger(), Refused(key="k", reason="wrong", mobile=scene.code.mobile, raw="[]")
    return lambda: ledger.refuse(refused, own_id="own", task_id="own", reason="bad_input")[1]


def refuse_used_key(scene: Scene) -> Call:
    scene.claim()
    return refuse(scene)


def upkeep_of(meets: str) -> Callable[[Scene], Call]:
    def prepare(scene: Scene) -> Call:
        MEETINGS[meets](scene)
        ledger = scene.ledger()
        return silent(lambda: ledger.upkeep(token="once"))

    return prepare


def dead(scene: Scene) -> None:
    scene.finish(scene.claim(), 4030, END)


def replay(scene: Scene) -> Call:
    dead(scene)
    ledger = scene.ledger()
    return lambda: ledger.replay("k", token="once", operator="o")


def removal(scene: Scene) -> tuple[Removal, Settings]:
    dead(scene)
    settings = settings_for(scene.url)
    return Removal(scene.redis, settings, [0, names.RECORD_VERSION]), settings


def discard(scene: Scene) -> Call:
    queue, _ = removal(scene)
    return lambda: list(queue.discard(["k"], run="once", operator="o"))


def undo(scene: Scene) -> Call:
    queue, _ = removal(scene)
    list(queue.discard(["k"], run="before", operator="o"))
    return lambda: list(queue.undo(["k"], run="once", operator="o"))


def purge(scene: Scene) -> Call:
    queue, _ = removal(scene)
    position = (float(scene.redis.zscore(names.DEAD, "k")), "k")
    return silent(lambda: queue.remove([position], run="once", operator="o", action="purge"))


def fetch(scene: Scene) -> Call:
    scene.enqueue()
    scene.redis.lpush(names.QUEUE, "no JSON")
    script = scripts.load(scene.redis, "transport/fetch")
    again = iter("01")

    def call() -> Any:
        # The second time the transport says that this token may have been executed before.
        arguments: list[Any] = [
            0,
            names.RECORD_VERSION,
            5,
            "w/1",
            next(again),
            names.RECORD_PREFIX,
            RAW_CAP_BYTES,
        ]
        return script(keys=keys.FETCH, args=arguments)

    return call


def unacked(scene: Scene) -> Unacked:
    MEETINGS["left in unacked"](scene)
    return Unacked(scene.redis, settings_for(scene.url), RedisAvailability(0, time.monotonic), "w")


def sweep(scene: Scene) -> Call:
    swept = unacked(scene)
    return silent(swept.sweep)


def sweep_poison(scene: Scene) -> Call:
    swept = unacked(scene)
    scene.redis.hset(names.RETURNS, scene.redis.hkeys(names.UNACKED)[0], 2)
    return silent(swept.sweep)


def give_back(scene: Scene) -> Call:
    given, tags = unacked(scene), scene.redis.hkeys(names.UNACKED)
    return silent(lambda: given.give_back(tags))


def ack(scene: Scene) -> Call:
    acked, tags = unacked(scene), scene.redis.hkeys(names.UNACKED)
    return lambda: acked.ack(tags)


CALLS: dict[str, Callable[[Scene], Call]] = {
    "claim": claim_of("new"),
    "claim, too late": claim_of("late"),
    "claim of what is done": claim_of("duplicate of dead"),
    "claim of a hint": claim_of("replayed", hint=True),
    "claim after a death": claim_of("lease over", hint=True),
    "claim after a death, too late": claim_of("calling expired", hint=True),
    "finish, accepted": finish_of(2, Done()),
    "finish, to be tried again": finish_of(0, RetryIn(5, "40501")),
    "finish, ambiguous": finish_of(0, RetryIn(5), ambiguous=True),
    "finish, dead": finish_of(4030, END),
    "finish, dead and ambiguous": finish_of(4030, END, ambiguous=True),
    "refuse": refuse,
    "refuse, of a used key": refuse_used_key,
    "upkeep, hinting": upkeep_of("replayed"),
    "upkeep, burying": upkeep_of("waiting expired"),
    "upkeep, burying after a death": upkeep_of("calling expired"),
    "replay": replay,
    "discard": discard,
    "undo": undo,
    "purge": purge,
    "fetch": fetch,
    "sweep": sweep,
    "sweep, poison": sweep_poison,
    "give back": give_back,
    "ack": ack,
}


def stored(scene: Scene) -> dict[str, Any]:
    """Return all that stands in Redis, but for the note that a worker is alive."""
    entries = json.loads(scene.redis.eval(DUMP, 0))
    return {
        name: sorted(value) if name.endswith("}:fetched") else value
        for name, _ttl, value in entries
        if name != names.WORKERS
    }


@pytest.mark.parametrize("which", CALLS)
def test_a_script_that_is_executed_twice_changes_nothing_the_second_time(scene: Scene, which: str) -> None:
    call = CALLS[which](scene)
    before = stored(scene)
    answer = call()
    once = stored(scene)
    assert (once == before) == (which == "claim of what is done")
    again = call()
    assert stored(scene) == once
    assert again == ("done" if which.startswith("finish") else answer)


def test_a_message_that_was_given_back_and_fetched_again_is_not_lost_by_a_second_giving_back(
    scene: Scene,
) -> None:
    """At worst it is doubled, and the ledger knows it."""
    call = give_back(scene)
    call()
    arguments: list[Any] = [
        LONG_AGO,
        names.RECORD_VERSION,
        5,
        "other/1",
        "0",
        names.RECORD_PREFIX,
        RAW_CAP_BYTES,
    ]
    scripts.load(scene.redis, "transport/fetch")(keys=keys.FETCH, args=arguments)
    call()
    assert scene.redis.llen(names.QUEUE) + scene.redis.hlen(names.UNACKED) >= 1
