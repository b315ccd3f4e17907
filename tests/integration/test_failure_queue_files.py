"""Dead letters in files: export and import, spill over a bound, retention by age."""

import bz2
import collections
import gzip
import json
import lzma
import os
import re
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
from worker.failure_queue.pages import read_records
from worker.failure_queue.retention import Retention, check_spill_dir
from worker.failure_queue.spill import spill
from worker.failure_queue.transfer import BadFile
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
    """Collect what retention logs at error."""
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
    with pytest.raises(BadFile, match="line 1: it comes from a masked export"):
        imported(queue, path)


def test_an_export_overwrites_nothing(queue: FailureQueue, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    with pytest.raises(FileExistsError):
        queue.export(tmp_path / "there", Filter())


def lines_of(*letters: tuple[str, dict[str, str]]) -> str:
    return "".join(json.dumps({"key": key, "record": record}) + "\n" for key, record in letters)


WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "code must be 4 to 6 digits": {"code": "999; DROP"},
    "code must be 4 to 6 digits ": {"code": "１２３４"},
    "mobile must be a mainland mobile number": {"mobile": "10086"},
    "expires_at is more than VOICECODE_MAX_TTL_SECONDS (3600) away": {"expires_at": "9000000000"},
    "expires_at must be epoch seconds": {"expires_at": "1e300"},
    "died_at must be epoch seconds": {"died_at": "soon"},
    "died_at is in the future": {"died_at": "9999999999"},
    "died_at is missing": {"died_at": ""},
    "first_seen must be epoch seconds": {"first_seen": "nan"},
    "attempt must be a count": {"attempt": "many"},
    "ambiguous_total must be a count": {"ambiguous_total": "-1"},
    "reply_code must be a reply code": {"reply_code": "0x1"},
    "attempt:1 must be a JSON object": {"attempt:1": "[]"},
    "a field has a name that no version": {"attempt:one": "{}"},
    "reason must be a reason": {"reason": "\x1b[2J"},
    "row must be a name": {"row": "4051\n"},
    "purpose holds a mobile number": {"purpose": "13800138000"},
    "task_id holds a mobile number": {"task_id": "13800138000"},
    "voice_id must be an id": {"voice_id": "a b"},
    "trace must be a traceparent": {"trace": "00-13800138000"},
    "v must be a count": {"v": "x"},
    "a later version of this program wrote it": {"v": "9"},
    "expires_at must be a text": {"expires_at": 1},
    "reply_message must be a text of at most": {"reply_message": "x" * 200_001},
}


@pytest.mark.parametrize("told", WRONG_FIELDS)
def test_a_wrong_field_of_one_record_imports_nothing_of_the_file(
    queue: FailureQueue, client: Any, tmp_path: Path, told: str
) -> None:
    """What is imported can be replayed, and is called: it passes the checks of a message."""
    now, fields = queue.now(), WRONG_FIELDS[told]
    good, (key, record) = (dead_letter(n, died_at=now - 9, expires_at=now + 60) for n in (1, 2))
    path = tmp_path / "file"
    path.write_text(lines_of(good, (key, {**record, **fields})))
    with pytest.raises(BadFile, match=re.escape(f"line 2: {told.strip()}")) as caught:
        imported(queue, path)
    assert all(str(value) not in str(caught.value) for value in fields.values() if len(str(value)) > 4)
    assert client.exists(names.DEAD) == 0


@pytest.mark.parametrize("key", ["login:13800138000", "138001380000042", "a b", "", None, 7])
def test_a_record_without_a_key_of_the_right_form_is_refused(
    queue: FailureQueue, client: Any, tmp_path: Path, key: Any
) -> None:
    for code in ("0042", ""):
        _, record = dead_letter(1, died_at=queue.now() - 9, expires_at=0, code=code)
        path = tmp_path / f"file{code}"
        path.write_text(json.dumps({"key": key, "record": record}) + "\n")
        with pytest.raises(BadFile, match="line 1: "):
            imported(queue, path)
    assert client.exists(names.DEAD) == 0


def test_the_first_wrong_lines_are_told_and_the_others_counted(queue: FailureQueue, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(lines_of(*(dead_letter(n, died_at=1.0, expires_at=1.0, code="x") for n in range(9))))
    with pytest.raises(BadFile) as caught:
        imported(queue, path)
    assert str(caught.value).split("\n") == [
        *(f"line {n}: code must be 4 to 6 digits" for n in range(1, 6)),
        "and 4 more lines",
    ]


GOOD_LINE = lines_of(dead_letter(1, died_at=1.0, expires_at=1.0))
ODD_FILES: dict[str, str | bytes] = {
    "line 2 is no JSON object": GOOD_LINE + "no json\n",
    "line 2 is no JSON object ": GOOD_LINE + "[]\n",
    "line 2: it is no dead letter": GOOD_LINE + '{"not_spilled": 5}\n',
    "line 2, the last one, is cut off": GOOD_LINE + GOOD_LINE[:-20],
    "line 1 is not text": bytes(range(256)),
    "line 1 is not text ": b"\x00" * 10_000,
    "line 1 is too long": b"x" * 9_000_000,
    "it is compressed by gzip: unpack it first (gunzip)": gzip.compress(GOOD_LINE.encode()),
    "it is compressed by bzip2": bz2.compress(GOOD_LINE.encode()),
    "it is compressed by xz": lzma.compress(GOOD_LINE.encode()),
    "line 1 is no JSON object": "[" * 100_000 + "\n",
}


@pytest.mark.parametrize("told", ODD_FILES)
def test_another_kind_of_file_is_refused_in_one_sentence(
    queue: FailureQueue, client: Any, tmp_path: Path, told: str
) -> None:
    content = ODD_FILES[told]
    path = tmp_path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadFile, match=re.escape(told.strip())) as caught:
        imported(queue, path)
    assert "\n" not in str(caught.value)
    assert "13000000001" not in str(caught.value)
    assert client.exists(names.DEAD) == 0


def test_a_record_that_was_replayed_before_its_line_was_written_is_left_out(
    queue: FailureQueue, tmp_path: Path
) -> None:
    """Files of version 0.1.0 hold such lines, with or without the line that takes them back."""
    now = queue.now()
    letters = [dead_letter(n, died_at=now - 9, expires_at=now - 1) for n in range(4)]
    letters[1][1].update(state="waiting", code="")
    letters[2][1].update(state="calling", died_at="")
    path = tmp_path / "file"
    path.write_text(lines_of(*letters) + json.dumps({"not_spilled": [letters[1][0]]}) + "\n")
    assert imported(queue, path) == {"restored": 2, "left_out": 2}
    assert set(queue.keys(Filter())) == {letters[0][0], letters[3][0]}


@pytest.mark.parametrize(
    "fields",
    [
        {"first_seen": "soon"},
        {"expires_at": "1e400"},
        {"ambiguous_total": "some"},
        {"reply_code": "x"},
        {"attempt:1": "no json"},
        {"attempt:1": '{"started_at": "soon", "elapsed_seconds": [], "reply_message": 7}'},
        {"attempt:x": "{}"},
        {"died_at": "99999999999999"},
    ],
    ids=str,
)
def test_a_broken_record_is_marked_and_hides_no_other(
    queue: FailureQueue, client: Any, tmp_path: Path, fields: dict[str, str]
) -> None:
    """It was edited by hand, or imported by a version that did not look."""
    keys = old_ones(queue, 3)
    client.hset(names.RECORD_PREFIX + keys[1], mapping=fields)
    client.zadd(names.DEAD, {keys[1]: float(fields.get("died_at", 1))})
    assert {entry.record.key for entry in queue.page(Filter()).entries} == set(keys)
    assert queue.export(tmp_path / "masked.jsonl", Filter()) == 3
    assert queue.stats().total == 3
    record = queue.show(keys[1])
    assert record is not None
    json.dumps(record.shown(), allow_nan=False)
    told = set(fields) - {"died_at", *(["attempt:1"] if "started_at" in str(fields) else [])}
    assert set(record.broken) == told
    assert queue.show(keys[0]).broken == ()  # type: ignore[union-attr]


def test_a_code_that_was_replayed_before_its_line_was_written_is_not_in_the_file(
    queue: FailureQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = old_ones(queue, 25)
    read = read_records

    def after_a_replay(*arguments: Any) -> Any:
        list(queue.replay([keys[3]], Choice(life_seconds=60)))
        return read(*arguments)

    monkeypatch.setattr("worker.failure_queue.spill.read_records", after_a_replay)
    spilled = spill(queue, tmp_path, 15)
    assert spilled is not None
    assert spilled.count == 14
    assert keys[3] not in spilled.path.read_text()
    assert imported(queue, spilled.path) == {"restored": 14}


def test_records_that_are_broken_leave_no_empty_file(queue: FailureQueue, tmp_path: Path) -> None:
    """There would be one more every five seconds."""
    for key in old_ones(queue, 3):
        queue.client.hset(names.RECORD_PREFIX + key, "state", "broken")
    assert spill(queue, tmp_path, 3) is None
    assert list(tmp_path.iterdir()) == []


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
    assert imported(queue, spilled.path) == {"restored": 14, "left_out": 1}


def test_nothing_leaves_redis_before_it_is_on_the_disk(
    queue: FailureQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_ones(queue, 25)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    look(queue)
    assert queue.stats().total == 25


def test_one_worker_at_a_time_does_retention(queue: FailureQueue, tmp_path: Path) -> None:
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
