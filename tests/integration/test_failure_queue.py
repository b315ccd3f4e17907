"""The failure queue's promises, against a real server; time is the scripts' clock offset."""

import collections
import itertools
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config import names, settings
from config.settings import Settings
from tests.support.dead_letters import dead_letter, load
from worker.embedded.server import Server
from worker.failure_queue import Choice, DiscardStatus, FailureQueue, Filter, Pace
from worker.ledger import Ledger
from worker.message import Refused, VoiceCode
from worker.store.availability import RedisAvailability
from worker.store.client import connect

ROWS = (
    ("4051", "permanent", "account"),
    ("4030", "permanent", "number"),
    ("reset", "ambiguous", "none"),
    ("none", "expired", "none"),
)


@pytest.fixture
def configuration(server: Server) -> Settings:
    return settings.load(broker_url=server.url)


@pytest.fixture
def client(configuration: Settings) -> Iterator[redis.Redis]:
    with connect(configuration) as client:
        yield client


@pytest.fixture
def queue(client: redis.Redis, configuration: Settings) -> FailureQueue:
    return FailureQueue(client, configuration, operator="night shift")


@pytest.fixture
def ledger(client: redis.Redis, configuration: Settings) -> Ledger:
    return Ledger(client, configuration, RedisAvailability(0.0, time.monotonic))


def assorted(count: int, *, seed: int = 7, now: float) -> list[tuple[str, dict[str, str]]]:
    """Return dead letters of all kinds; many died at the very same moment, as expired ones do."""
    drawn = random.Random(seed)
    letters = []
    for number in range(count):
        row, reason, scope = drawn.choice(ROWS)
        died_at = now - drawn.randrange(0, 40) * 100
        expires_at = now + drawn.choice((-50, 500))
        more = {"row": row, "reason": reason, "scope": scope, "mobile": f"1380013{drawn.randrange(20):04d}"}
        if reason == "ambiguous":
            more["ambiguous_total"] = "1"
        letters.append(dead_letter(number, died_at=died_at, expires_at=expires_at, **more))
    return letters


def everything(client: Any) -> dict[str, Any]:
    """Return all indexes of the failure queue with their contents."""
    found = {}
    for name in client.scan_iter(f"{names.DEAD}*"):
        kind = client.type(name)
        if kind == "zset":
            found[name] = client.zrange(name, 0, -1, withscores=True)
        elif kind == "hash":
            found[name] = client.hgetall(name)
    return found


def replay(queue: FailureQueue, keys: Any, choice: Choice | None = None, **more: Any) -> Any:
    run = queue.replay(tuple(keys), choice or Choice(), **more)
    for _ in run:
        pass
    return run.progress


FILTERS = (
    Filter(),
    Filter(reason="permanent"),
    Filter(codes=("4051",)),
    Filter(codes=("4051", "reset")),
    Filter(scope="none"),
    Filter(mobile_ends="0007"),
    Filter(ambiguous=True),
    Filter(ambiguous=False),
    Filter(sendable=True),
    Filter(codes=("4030", "reset"), ambiguous=True, sendable=True),
    Filter(reason="permanent", scope="account", mobile_ends="0003", sendable=True),
    Filter(keys=("login:00000003", "login:00000004", "nobody"), reason="permanent"),
    Filter(reason="no such reason"),
)


def meant(wanted: Filter, record: dict[str, str], key: str, now: float) -> bool:
    """Tell in plain Python whether a filter means a record."""
    return all(
        (
            not wanted.keys or key in wanted.keys,
            wanted.reason in {None, record["reason"]},
            not wanted.codes or record["row"] in wanted.codes,
            wanted.scope in {None, record["scope"]},
            wanted.mobile_ends in {None, record["mobile"][-4:]},
            wanted.ambiguous in {None, "ambiguous_total" in record},
            not wanted.sendable
            or (float(record["expires_at"]) > now and record["mobile"] and "ambiguous_total" not in record),
            wanted.since is None or float(record["died_at"]) >= wanted.since,
            wanted.until is None or float(record["died_at"]) <= wanted.until,
        )
    )


@pytest.mark.parametrize("within", [None, (3000.0, 1000.0)], ids=["ever", "since-until"])
def test_filters_combine_and_the_newest_come_first(
    queue: FailureQueue, client: redis.Redis, within: Any
) -> None:
    """Whatever index is read, the answer is that of looking at every record."""
    now = queue.now()
    letters = assorted(1500, now=now)
    load(client, letters)
    for plain in FILTERS:
        since, until = (now - within[0], now - within[1]) if within else (None, None)
        wanted = Filter(
            **{name: getattr(plain, name) for name in plain.__slots__} | {"since": since, "until": until}
        )
        expected = sorted(
            ((float(r["died_at"]), key) for key, r in letters if meant(wanted, r, key, now)), reverse=True
        )
        assert list(queue.keys(wanted)) == [key for _, key in expected], str(wanted)


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_pages_join_without_gap_or_repetition(
    queue: FailureQueue, client: redis.Redis, wanted: Filter
) -> None:
    load(client, assorted(300, now=queue.now()))
    pages, cursor = [], None
    while True:
        page = queue.page(wanted, limit=7, cursor=cursor)
        pages.append([entry.record.key for entry in page.entries])
        cursor = page.cursor
        if cursor is None:
            break
    assert list(itertools.chain(*pages)) == list(queue.keys(wanted))
    assert all(len(page) == 7 for page in pages[:-1])


def test_a_list_goes_on_though_its_last_entry_has_left(queue: FailureQueue, client: redis.Redis) -> None:
    """An operator replays what they see and ask for the next page."""
    load(client, assorted(400, now=queue.now()))
    keys = list(queue.keys(Filter()))
    page = queue.page(Filter(), limit=100)
    for _ in queue.discard([entry.record.key for entry in page.entries[50:]]):
        pass
    following = queue.page(Filter(), limit=400, cursor=page.cursor)
    assert [entry.record.key for entry in following.entries] == keys[100:]


def test_a_wrong_cursor_is_refused(queue: FailureQueue) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        queue.page(Filter(), cursor="page two")


def test_stats_count_what_is_there(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    letters = assorted(500, now=now)
    load(client, letters)
    stats = queue.stats()
    records = [record for _, record in letters]
    assert stats.total == 500
    assert stats.distinct_numbers == len({r["mobile"] for r in records})
    assert stats.unexpired == sum(float(r["expires_at"]) > now for r in records)
    assert stats.ambiguous == sum("ambiguous_total" in r for r in records)
    assert stats.by_code == {row: n for row, _, _ in ROWS if (n := sum(r["row"] == row for r in records))}
    assert sum(stats.by_reason.values()) == sum(stats.by_scope.values()) == 500
    assert (stats.oldest, stats.newest) == (
        min(float(r["died_at"]) for r in records),
        max(float(r["died_at"]) for r in records),
    )


def test_an_empty_queue_has_empty_stats(queue: FailureQueue, client: redis.Redis) -> None:
    """Nothing of the counters stays behind when the last dead letter leaves.

    Discarded ones still hold their codes for a while.
    """
    load(client, assorted(60, now=queue.now()))
    for _ in queue.discard(list(queue.keys(Filter()))):
        pass
    assert everything(client).keys() == {f"{names.DEAD}:holds"}
    stats = queue.stats()
    assert (stats.total, stats.distinct_numbers, stats.by_reason, stats.oldest) == (0, 0, {}, None)


def test_the_plan_tells_what_a_replay_then_does(
    queue: FailureQueue, client: redis.Redis, ledger: Ledger
) -> None:
    now = queue.now()
    load(
        client,
        [
            dead_letter(1, died_at=now - 9, expires_at=now + 60),
            dead_letter(2, died_at=now - 8, expires_at=now - 1),
            dead_letter(3, died_at=now - 7, expires_at=now + 60, ambiguous_total=1, reason="ambiguous"),
            dead_letter(4, died_at=now - 6, expires_at=now + 60, code=""),
            dead_letter(5, died_at=now - 5, expires_at=now + 60, mobile="13900139000"),
        ],
    )
    newer = VoiceCode(key="newer", mobile="13900139000", code="1111", purpose="login")
    other_purpose = VoiceCode(key="other", mobile="13000000001", code="1111", purpose="payment")
    for code in (newer, other_purpose):
        ledger.claim(code, token="t", worker="w", task_id=code.key)
    plan = queue.plan(Filter(), Choice())
    assert plan.keys == ("login:00000001",)
    expected = {"sendable": 1, "expired": 1, "ambiguous": 1, "unsendable": 1, "superseded": 1, "total": 5}
    assert plan.as_dict() == expected
    assert replay(queue, queue.keys(Filter())).statuses == {
        status: n for status, n in expected.items() if status not in {"total", "sendable"}
    } | {"replayed": 1}
    assert queue.stats().total == 4


def test_wishes_widen_the_plan(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    load(
        client,
        [
            dead_letter(1, died_at=now - 9, expires_at=now - 5),
            dead_letter(2, died_at=now - 8, expires_at=now + 60, ambiguous_total=1, reason="ambiguous"),
        ],
    )
    assert queue.plan(Filter(), Choice()).keys == ()
    assert queue.plan(Filter(), Choice(ambiguous=True)).keys == ("login:00000002",)
    assert queue.plan(Filter(), Choice(life_seconds=60)).keys == ("login:00000001",)
    progress = replay(queue, ("login:00000001", "login:00000002"), Choice(ambiguous=True, life_seconds=60))
    assert progress.replayed == 2
    record = queue.show("login:00000001")
    assert record is not None
    assert record.state == "waiting"
    assert record.expires_at == pytest.approx(now + 60, abs=5)


def test_a_replayed_code_keeps_its_history_and_gets_a_fresh_budget(
    queue: FailureQueue, client: redis.Redis, ledger: Ledger
) -> None:
    now = queue.now()
    load(client, [dead_letter(1, died_at=now - 9, expires_at=now + 60)])
    assert replay(queue, ["login:00000001"]).replayed == 1
    claim = ledger.resume("login:00000001", token="t2", worker="w")
    assert (claim.answer.value, claim.attempt, claim.submissions, claim.replays) == ("call", 2, 1, 1)
    record = queue.show("login:00000001")
    assert record is not None
    assert [attempt.number for attempt in record.attempts] == [1, 2]
    assert record.attempts[0].row == "4051"


def test_a_replay_executed_twice_counts_once_even_when_the_code_has_died_again(
    queue: FailureQueue, client: redis.Redis
) -> None:
    """A client that lost the answer repeats the script; a code that died in between stays dead."""
    now = queue.now()
    load(client, [dead_letter(1, died_at=now - 9, expires_at=now + 600)])
    run = queue.replay(("login:00000001",), Choice())
    list(run)
    later = FailureQueue(client, queue.settings, operator="x", clock_offset=700)
    Ledger(client, queue.settings, RedisAvailability(0.0, time.monotonic), clock_offset=700).upkeep(token="u")
    record = later.show("login:00000001")
    assert record is not None
    assert (record.state, record.reason) == ("dead", "expired")
    assert run._put_back(["login:00000001"]) == ["login:00000001"]
    record = later.show("login:00000001")
    assert record is not None
    assert (record.state, record.replays) == ("dead", 1)


def test_two_operators_replay_each_code_once(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(1000)])
    other = FailureQueue(client, queue.settings, operator="day shift")
    keys = queue.plan(Filter(), Choice()).keys
    runs = [queue.replay(keys, Choice()), other.replay(tuple(reversed(keys)), Choice())]
    for _ in itertools.zip_longest(*runs):
        pass
    assert sum(run.progress.replayed for run in runs) == 1000
    assert min(run.progress.replayed for run in runs) > 0
    assert [client.hget(names.RECORD_PREFIX + key, "replays") for key in keys] == ["1"] * 1000


def test_a_replay_that_was_broken_off_goes_on_where_it_stopped(
    queue: FailureQueue, client: redis.Redis
) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(500)])
    run = iter(queue.replay(queue.plan(Filter(), Choice()).keys, Choice()))
    next(run)
    del run  # which closes it, as Ctrl-C does
    left = queue.plan(Filter(), Choice())
    assert 0 < left.total < 500
    assert replay(queue, left.keys).replayed == left.total
    assert queue.stats().total == 0
    assert [line.action for line in queue.audit() if line.action in {"begin", "end"}] == [
        "end",
        "begin",
        "end",
        "begin",
    ]


def test_a_rate_is_kept(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(100)])
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    replay(queue, queue.keys(Filter()), pace=Pace(per_second=20), clock=lambda: clock[0], sleep=sleep)
    assert clock[0] == pytest.approx(5.0)


def test_a_canary_without_a_worker_stops_and_leaves_the_rest(
    queue: FailureQueue, client: redis.Redis
) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(50)])
    clock = itertools.count(0.0, 1.0)
    progress = replay(
        queue,
        queue.keys(Filter()),
        pace=Pace(canary=True, patience_seconds=30),
        clock=lambda: next(clock),
        sleep=lambda _: None,
    )
    assert progress.replayed == 1
    assert "is a worker running?" in progress.stopped
    assert queue.stats().total == 49


def test_discarded_ones_come_back_as_they_were(queue: FailureQueue, client: redis.Redis) -> None:
    """Undo restores every index, at the moment of each death."""
    load(client, assorted(200, now=queue.now()))
    before = everything(client)
    keys = list(queue.keys(Filter(codes=("4051", "reset"))))
    statuses = sum(queue.discard(keys, run="oops"), start=collections.Counter[DiscardStatus]())
    assert statuses == {"discarded": len(keys)}
    assert list(queue.keys(Filter(codes=("4051", "reset")))) == []
    assert 0 < client.pttl(names.RECORD_PREFIX + keys[0]) <= 24 * 3_600_000
    restored = [batch for batch in queue.undo(run="oops") for _ in batch.elements()]
    assert len(restored) == len(keys)
    assert everything(client) == before
    assert client.pttl(names.RECORD_PREFIX + keys[0]) == -1


def test_a_discarded_code_is_neither_called_by_a_late_duplicate_nor_replayed(
    queue: FailureQueue, client: redis.Redis, ledger: Ledger
) -> None:
    now = queue.now()
    key, record = dead_letter(1, died_at=now - 9, expires_at=now + 600)
    load(client, [(key, record)])
    list(queue.discard([key]))
    duplicate = VoiceCode(key=key, mobile=record["mobile"], code=record["code"])
    assert ledger.claim(duplicate, token="t", worker="w", task_id="x").answer.value == "dead"
    assert replay(queue, [key]).statuses == {"not_dead": 1}
    assert list(queue.discard([key])) == [{"not_dead": 1}]


def test_a_purge_deletes_the_old_ones_and_nothing_else(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n * 100, expires_at=now) for n in range(100)])
    assert queue.count_older(5050) == 49
    assert sum(queue.purge(older_than_seconds=5050)) == 49
    assert queue.stats().total == 51
    assert len(list(client.scan_iter(names.RECORD_PREFIX + "*"))) == 51
    purged = [line for line in queue.audit() if line.action == "purge"]
    assert (len(purged), {line.operator for line in purged}) == (49, {"night shift"})


def test_what_died_again_since_it_was_looked_at_is_not_removed(
    queue: FailureQueue, client: redis.Redis
) -> None:
    """A purge or a spill removes what it saw, not what has come of it meanwhile."""
    died_at = float(f"{queue.now() - 1000:.3f}")
    load(client, [dead_letter(1, died_at=died_at, expires_at=died_at)])
    remove = {"run": "r", "operator": "o", "action": "purge"}
    assert queue.removal.remove([(died_at - 60, "login:00000001")], **remove) == ["changed"]
    assert queue.stats().total == 1
    assert queue.removal.remove([(died_at, "login:00000001")], **remove) == ["removed"]


def test_nothing_young_can_be_purged(queue: FailureQueue) -> None:
    """A late duplicate of the message would be taken for a new code, and called."""
    with pytest.raises(ValueError, match="nothing younger than 470 s"):
        queue.purge(older_than_seconds=60)


def test_every_change_writes_its_line(queue: FailureQueue, client: redis.Redis) -> None:
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - 1000 - n, expires_at=now + 600) for n in range(3)])
    list(queue.discard(["login:00000000"]))
    list(queue.undo(keys=["login:00000000"]))
    replay(queue, ["login:00000001"])
    sum(queue.purge(older_than_seconds=900))
    queue.show("login:00000001", unmasked=True)
    assert [
        (line.action, line.key[-1:])
        for line in reversed(list(queue.audit()))
        if line.operator == "night shift"
    ] == [
        *(("begin", ""), ("discard", "0"), ("end", "")),
        *(("begin", ""), ("undo", "0"), ("end", "")),
        *(("begin", ""), ("replay", "1"), ("end", "")),
        *(("begin", ""), ("purge", "2"), ("purge", "0"), ("end", "")),
        ("unmask", "1"),
    ]
    assert [line.action for line in queue.audit(key="login:00000002")] == ["purge", "import"]


def test_an_unreadable_message_can_be_shown_masked_and_discarded(queue: FailureQueue, ledger: Ledger) -> None:
    refused = Refused(
        key="bad", reason="code must be a string", mobile="13800138000", raw='[["13800138000", 1234], {}]'
    )
    ledger.refuse(refused, own_id="own", task_id="own", reason="bad_input")
    record = queue.show("bad")
    assert record is not None
    shown = record.shown()
    assert (shown["mobile"], shown["raw"]) == ("138****8000", '[["<11 characters>", "<int>"], {}]')
    assert record.shown(unmasked=True)["raw"] == refused.raw
    assert queue.plan(Filter(), Choice(life_seconds=60)).counts == {"unsendable": 1}
    assert list(queue.discard(["bad"])) == [{"discarded": 1}]


def test_at_full_memory_dead_letters_can_still_be_discarded_and_purged(
    queue: FailureQueue, client: redis.Redis
) -> None:
    """Else nobody could make room."""
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - 1000, expires_at=now) for n in range(40)])
    client.config_set("maxmemory", 1)
    try:
        assert list(queue.discard(["login:00000000"])) == [{"discarded": 1}]
        assert sum(queue.purge(older_than_seconds=900)) == 39
    finally:
        client.config_set("maxmemory", 0)


def test_the_documented_snippet_runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "failure-queue.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("VOICECODE_BROKER_URL", server.url)
    scope: dict[str, Any] = {}
    exec(snippet, scope)  # noqa: S102 - our own page
    assert scope["run"].progress.total == 0
    assert [line.operator for line in scope["queue"].audit()] == ["morning shift"] * 2


def test_redis_picks_the_audit_lines_of_a_key_or_a_run(
    queue: FailureQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million lines on their way to the operator took eleven seconds."""
    now = queue.now()
    load(client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(9)])
    list(queue.discard([f"login:{n:08d}" for n in range(9)], run="r1"))
    list(queue.undo(run="r1", name="r2"))
    everything = list(queue.audit())
    monkeypatch.setattr("worker.failure_queue.audit._SEARCHED", 4)
    monkeypatch.setattr(queue.client, "xrevrange", None)
    for key, run in (("login:00000003", None), (None, "r1"), ("login:00000003", "r2"), ("nobody", None)):
        expected = [line for line in everything if key in {None, line.key} and run in {None, line.run}]
        assert list(queue.audit(key=key, run=run)) == expected
