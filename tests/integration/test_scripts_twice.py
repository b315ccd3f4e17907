"""Every script executed twice with one token: the second time it changes nothing."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import names
from config.settings import Settings
from tests.support.crashes import LONG_AGO, SITUATIONS, Database, outcome, settings_for
from tests.support.fetching import fetch as fetch_once
from tests.support.ledger_compare import DUMP
from tests.support.ledger_driver import replay as replayed
from worker.embedded.server import Server
from worker.failure_queue.removal import Removal
from worker.ledger.finish import Finished, Outcome, Recorded
from worker.message import Refused
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.store.availability import RedisAvailability
from worker.transport.unacked import Unacked

Call = Callable[[], Any]
END = GiveUp(Reason.PERMANENT)


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    database = Database(server.url, "13800138000")
    yield database
    database.close()


def silent(call: Call) -> Call:
    """Return a call whose answer counts what it did: the second time that is nothing."""

    def run() -> None:
        call()

    return run


def claim_of(situation: str, *, hint: bool = False) -> Callable[[Database], Call]:
    def prepare(database: Database) -> Call:
        SITUATIONS[situation](database)
        ledger = database.ledger()
        if hint:
            return lambda: ledger.resume("k", token="once", worker="w").answer
        late = (
            dataclasses.replace(database.code, expires_at=time.time() - 1)
            if situation == "late"
            else database.code
        )
        return lambda: ledger.claim(late, token="once", worker="w", task_id="t", tag="tag").answer

    return prepare


def finish_of(code: int, decision: Decision, *, ambiguous: bool = False) -> Callable[[Database], Call]:
    def prepare(database: Database) -> Call:
        claim, ledger = database.claim(), database.ledger()
        end: Outcome = outcome(claim, code, decision)
        if ambiguous:
            end = dataclasses.replace(
                end, row=dataclasses.replace(end.row, kind=type(end.row.kind)("ambiguous"))
            )
        return lambda: ledger.finish(end)

    return prepare


def refuse(database: Database) -> Call:
    ledger, refused = (
        database.ledger(),
        Refused(key="k", reason="wrong", mobile=database.code.mobile, raw="[]"),
    )
    return lambda: ledger.refuse(refused, own_id="own", task_id="own", reason="bad_input")[1]


def refuse_used_key(database: Database) -> Call:
    database.claim()
    return refuse(database)


def upkeep_of(situation: str) -> Callable[[Database], Call]:
    def prepare(database: Database) -> Call:
        SITUATIONS[situation](database)
        ledger = database.ledger()
        return silent(lambda: ledger.upkeep(token="once"))

    return prepare


def dead(database: Database) -> None:
    database.finish(database.claim(), 4030, END)


def replay(database: Database) -> Call:
    dead(database)
    return lambda: replayed(database.redis, settings_for(database.url), "k", "once")


def removal(database: Database) -> tuple[Removal, Settings]:
    dead(database)
    settings = settings_for(database.url)
    return Removal(database.redis, settings), settings


def discard(database: Database) -> Call:
    queue, _ = removal(database)
    return lambda: list(queue.discard(["k"], run="once", operator="o"))


def undo(database: Database) -> Call:
    queue, _ = removal(database)
    list(queue.discard(["k"], run="before", operator="o"))
    return lambda: list(queue.undo(["k"], run="once", operator="o"))


def purge(database: Database) -> Call:
    queue, _ = removal(database)
    position = (float(database.redis.zscore(names.DEAD, "k")), "k")
    return silent(lambda: queue.remove([position], run="once", operator="o", action="purge"))


def cancel_of(situation: str) -> Callable[[Database], Call]:
    """Have it find, the second time, what it did."""

    def prepare(database: Database) -> Call:
        SITUATIONS[situation](database)
        ledger = database.ledger()
        return silent(lambda: ledger.cancel("k"))

    return prepare


def fetch(database: Database) -> Call:
    database.enqueue()
    database.redis.lpush(names.QUEUE, "no JSON")
    again = iter([False, True])

    def call() -> Any:
        # The second time the transport says that this token may have been executed before.
        return fetch_once(database.redis, 5, "w/1", repeated=next(again))

    return call


def unacked(database: Database) -> Unacked:
    SITUATIONS["left in unacked"](database)
    return Unacked(database.redis, settings_for(database.url), RedisAvailability(0, time.monotonic), "w")


def sweep(database: Database) -> Call:
    swept = unacked(database)
    return silent(swept.sweep)


def sweep_poison(database: Database) -> Call:
    swept = unacked(database)
    database.redis.hset(names.RETURNS, database.redis.hkeys(names.UNACKED)[0], 2)
    return silent(swept.sweep)


def give_back(database: Database) -> Call:
    given, tags = unacked(database), database.redis.hkeys(names.UNACKED)
    return silent(lambda: given.give_back(tags))


def ack(database: Database) -> Call:
    acked, tags = unacked(database), database.redis.hkeys(names.UNACKED)
    return lambda: acked.ack(tags)


CALLS: dict[str, Callable[[Database], Call]] = {
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
    "cancel": cancel_of("replayed"),
    "cancel, first": cancel_of("new"),
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


def stored(database: Database) -> dict[str, Any]:
    """Return all that stands in Redis, but for the note that a worker is alive."""
    entries = json.loads(database.redis.eval(DUMP, 0))
    return {
        name: sorted(value) if name.endswith("}:fetched") or name.startswith(names.RECORD_PREFIX) else value
        for name, _ttl, value in entries
        if name != names.WORKERS
    }


@pytest.mark.parametrize("which", CALLS)
def test_a_script_that_is_executed_twice_changes_nothing_the_second_time(
    database: Database, which: str
) -> None:
    call = CALLS[which](database)
    before = stored(database)
    answer = call()
    once = stored(database)
    assert (once == before) == (which == "claim of what is done")
    again = call()
    assert stored(database) == once
    assert again == (Finished(Recorded.DONE) if which.startswith("finish") else answer)


def test_a_message_that_was_given_back_and_fetched_again_is_not_lost_by_a_second_giving_back(
    database: Database,
) -> None:
    """At worst it is doubled, and the ledger knows it."""
    call = give_back(database)
    call()
    fetch_once(database.redis, 5, "other/1", clock_offset=LONG_AGO)
    call()
    assert database.redis.llen(names.QUEUE) + database.redis.hlen(names.UNACKED) >= 1
