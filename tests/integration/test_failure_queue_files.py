"""Dead letters in files: export and import, spill over a bound, retention by age."""

import collections
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config import names, settings
from config.settings import Settings, SettingsError
from tests.support.dead_letters import dead_letter, load
from worker.embedded.server import Server
from worker.failure_queue import Choice, FailureQueue, Filter, RemoveStatus, RestoreStatus, removal, retention
from worker.failure_queue.retention import Retention, check_spill_dir
from worker.failure_queue.spill import spill
from worker.failure_queue.transfer import BadLine
from worker.store.client import connect


@pytest.fixture
def bounded(server: Server, tmp_path: Path) -> Settings:
    return settings.load(
        broker_url=server.url, dead_letters_max=10, spill_dir=tmp_path, dead_retention_days=1
    )


@pytest.fixture
def client(bounded: Settings) -> Iterator[redis.Redis]:
    with connect(bounded) as client:
        yield client


@pytest.fixture
def queue(client: redis.Redis, bounded: Settings) -> FailureQueue:
    return FailureQueue(client, bounded, operator="night shift")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the chores log at error."""
    lines: list[str] = []

    class Log:
        def error(self, event: str, **facts: Any) -> None:
            lines.append(f"{event}: {facts.get('why') or facts.get('cause')}")

    monkeypatch.setattr(retention, "log", Log())
    return lines


def old_ones(queue: FailureQueue, count: int, *, expires_in: float = -100.0) -> list[str]:
    """Load dead letters that died an hour ago, and return their keys."""
    now = queue.now()
    letters = [
        dead_letter(n, died_at=now - 3600 + n, expires_at=now + expires_in + n / 1000) for n in range(count)
    ]
    load(queue.client, letters)
    return [key for key, _ in letters]


def snapshot(client: Any) -> dict[str, Any]:
    """Return all of the failure queue but the marks of who acted."""
    records = {key: client.hgetall(key) for key in client.scan_iter(names.RECORD_PREFIX + "*")}
    for record in records.values():
        record.pop("act", None)
    return records | {
        key: client.zrange(key, 0, -1, withscores=True)
        for key in client.scan_iter(names.DEAD + "*", _type="zset")
    }


def imported(queue: FailureQueue, path: Path) -> dict[RestoreStatus, int]:
    return dict(sum(queue.import_(path), start=collections.Counter[RestoreStatus]()))


def look(queue: FailureQueue) -> None:
    Retention(queue, interval_seconds=0.001).look()


def test_what_was_exported_unmasked_comes_back_as_it_was(
    queue: FailureQueue, client: redis.Redis, tmp_path: Path
) -> None:
    keys = old_ones(queue, 50)
    before = snapshot(client)
    path = tmp_path / "all.jsonl"
    assert queue.export(path, Filter(), unmasked=True) == 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sum(queue.purge(older_than_seconds=1000)) == 50
    assert imported(queue, path) == {"restored": 50}
    assert snapshot(client) == before
    assert imported(queue, path) == {"exists": 50}
    assert queue.plan(Filter(keys=tuple(keys)), Choice(life_seconds=60)).as_dict()["sendable"] == 50


def test_an_export_shows_neither_numbers_nor_codes_unless_asked(queue: FailureQueue, tmp_path: Path) -> None:
    load(
        queue.client,
        [dead_letter(987654321, died_at=queue.now(), expires_at=0, code="778899", raw='["13987654321"]')],
    )
    path = tmp_path / "masked.jsonl"
    queue.export(path, Filter())
    text = path.read_text()
    assert "139****4321" in text
    assert "13987654321" not in text
    assert "778899" not in text
    with pytest.raises(BadLine, match="line 1 comes from a masked export"):
        imported(queue, path)


def test_an_export_overwrites_nothing(queue: FailureQueue, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    with pytest.raises(FileExistsError):
        queue.export(tmp_path / "there", Filter())


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"key": "13800138000", "record": {"state": "dead", "died_at": "1", "expires_at": "1"}}',
        '{"key": "a", "record": {"state": "accepted", "died_at": "1", "expires_at": "1"}}',
        '{"key": "a", "record": {"state": "dead", "died_at": "soon", "expires_at": "1"}}',
        '{"key": "a", "record": {"state": "dead", "died_at": "1", "expires_at": 1}}',
        '{"key": "a", "record": {"state": "dead", "died_at": "1", "expires_at": "1", "v": "9"}}',
        '{"key": "a", "record": {"state": "dead", "died_at": "1", "expires_at": "1", "v": "x"}}',
        '{"not_spilled": 5}',
    ],
)
def test_a_wrong_line_imports_nothing_of_the_file(
    queue: FailureQueue, client: Any, tmp_path: Path, line: str
) -> None:
    key, record = dead_letter(1, died_at=1.0, expires_at=1.0)
    path = tmp_path / "file"
    path.write_text(json.dumps({"key": key, "record": record}) + f"\n{line}\n")
    with pytest.raises(BadLine, match="line 2") as caught:
        imported(queue, path)
    assert "13800138000" not in str(caught.value)
    assert client.exists(names.DEAD) == 0


def test_over_the_bound_the_oldest_that_cannot_be_sent_move_to_a_file(
    queue: FailureQueue, client: redis.Redis, tmp_path: Path
) -> None:
    keys = old_ones(queue, 25)
    before = snapshot(client)
    look(queue)
    assert queue.stats().total == 10
    (file,) = tmp_path.glob("*.jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == keys[:15]
    assert [line.key for line in queue.audit() if line.action == "spill"][::-1] == keys[:15]
    assert imported(queue, file) == {"restored": 15}
    assert snapshot(client) == before


def test_what_can_still_be_sent_stays_and_somebody_is_told(
    queue: FailureQueue, tmp_path: Path, told: list[str]
) -> None:
    old_ones(queue, 25, expires_in=600)
    look(queue)
    assert queue.stats().total == 25
    assert list(tmp_path.iterdir()) == []
    assert "dead_letters.over_bound: all of them can still be sent, or died too recently" in told


def test_what_has_died_just_now_stays(queue: FailureQueue, tmp_path: Path) -> None:
    """A late duplicate of its message would be taken for a new code."""
    now = queue.now()
    load(queue.client, [dead_letter(n, died_at=now - 100, expires_at=now - 50) for n in range(25)])
    assert spill(queue, tmp_path, 25) is None


def test_where_the_directory_cannot_be_written_the_queue_grows_and_somebody_is_told(
    queue: FailureQueue, tmp_path: Path, told: list[str]
) -> None:
    old_ones(queue, 25)
    tmp_path.rename(tmp_path.with_name("moved"))
    look(queue)
    assert queue.stats().total == 25
    assert told == [
        "spill.failed: No such file or directory",
        f"dead_letters.over_bound: {tmp_path} cannot be written",
    ]


def test_without_a_directory_the_queue_grows_and_somebody_is_told(
    queue: FailureQueue, server: Server, told: list[str]
) -> None:
    old_ones(queue, 25)
    look(
        FailureQueue(
            queue.client, settings.load(broker_url=server.url, dead_letters_max=10), operator="upkeep"
        )
    )
    assert queue.stats().total == 25
    assert told == ["dead_letters.over_bound: VOICECODE_SPILL_DIR is not set"]


def test_a_code_replayed_while_it_is_spilled_is_taken_back_from_the_file(
    queue: FailureQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file must not bring it back once more when its record is gone."""
    keys = old_ones(queue, 25)
    remove = removal.Removal.remove

    def after_a_replay(self: Any, positions: Any, **more: Any) -> list[RemoveStatus]:
        list(queue.replay([keys[3]], Choice(life_seconds=60)))
        return remove(self, positions, **more)

    monkeypatch.setattr(removal.Removal, "remove", after_a_replay)
    spilled = spill(queue, tmp_path, 15)
    assert spilled is not None
    assert spilled.count == 14
    record = queue.show(keys[3])
    assert record is not None
    assert record.state == "waiting"
    assert imported(queue, spilled.path) == {"restored": 14}


def test_nothing_leaves_redis_before_it_is_on_the_disk(
    queue: FailureQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_ones(queue, 25)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    look(queue)
    assert queue.stats().total == 25


def test_one_worker_at_a_time_does_the_chores(queue: FailureQueue, tmp_path: Path) -> None:
    old_ones(queue, 25)
    queue.client.set(names.RETENTION_LOCK, "another worker", px=60_000)
    look(queue)
    assert queue.stats().total == 25
    assert list(tmp_path.iterdir()) == []


def test_what_is_older_than_the_retention_is_purged_with_a_line_each(queue: FailureQueue) -> None:
    now = queue.now()
    ages = [3600, 80_000, 90_000, 100_000]
    load(
        queue.client, [dead_letter(n, died_at=now - age, expires_at=now - age) for n, age in enumerate(ages)]
    )
    look(queue)
    assert list(queue.keys(Filter())) == ["login:00000000", "login:00000001"]
    assert [line.key for line in queue.audit() if line.action == "purge"] == [
        "login:00000002",
        "login:00000003",
    ]


def test_however_short_the_retention_nothing_young_is_purged(queue: FailureQueue, server: Server) -> None:
    """A late duplicate of its message would be called as a new code."""
    now = queue.now()
    load(
        queue.client,
        [dead_letter(n, died_at=now - age, expires_at=now - age) for n, age in enumerate([400, 500])],
    )
    look(
        FailureQueue(
            queue.client, settings.load(broker_url=server.url, dead_retention_days=0.0001), operator="upkeep"
        )
    )
    assert list(queue.keys(Filter())) == ["login:00000000"]


def test_a_worker_finds_out_at_its_start_that_it_cannot_spill(tmp_path: Path) -> None:
    check_spill_dir(settings.load(spill_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError, match=r"VOICECODE_SPILL_DIR: .* cannot be written: No such file"):
        check_spill_dir(settings.load(spill_dir=tmp_path / "nowhere"))
