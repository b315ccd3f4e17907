"""What the command line answers to typing errors, full disks, narrow screens and programs."""

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

from config import settings
from tests.integration.test_cli import env, objects, run, simulator
from tests.support.command_line import ROOT, VOICECODE, at_terminal
from tests.support.dead_letters import dead_letter, load
from worker.cli import exit_codes
from worker.embedded.server import Server
from worker.failure_queue import FailureQueue
from worker.failure_queue.spill import spill
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

__all__ = ["env", "simulator"]
UUID = "4f0c1e0e-5b0a-4b53-9d4e-1f2d3c4b5a69"


@pytest.fixture
def letters(redis_client: redis.Redis) -> float:
    now = float(redis_client.time()[0])
    load(redis_client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(1, 4)])
    load(redis_client, [(UUID, dead_letter(9, died_at=now - 9, expires_at=now - 1)[1])])
    return now


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list", "--code", "4501"], "did you mean 4051, "),
        (["replay", "--code", "4051", "--code", "405l", "--yes"], "there is no reply code or symptom '405l'"),
        (["list", "--reason", "permanant"], "there is no reason 'permanant': did you mean permanent?"),
        (["discard", "--scope", "acount", "--yes"], "did you mean account?"),
        (["export", "--to", "none", "--reason", "x"], "`voicecode dead stats` lists those that occur"),
        (["list", "--since", "1h", "--until", "2h"], "`since` is the earlier end"),
        (["replay", "--all", "--expires-in", "5x"], "write it like 90s, 30m, 2h30m, 7d or 1w"),
        (["replay", "--all", "--expires-in", "0"], "'0' is not above 0"),
        (["replay", "--all", "--expires-in", "2h"], "at most VOICECODE_MAX_TTL_SECONDS"),
    ],
)
def test_a_typing_error_is_told_and_does_not_read_as_good_news(
    env: dict[str, str], words: list[str], says: str
) -> None:
    result = run(env, "dead", *words)
    assert result.exit_code == exit_codes.USAGE
    assert says in result.stderr


@pytest.mark.usefixtures("letters")
def test_what_is_known_but_does_not_occur_is_no_typing_error(env: dict[str, str]) -> None:
    for words in (["--code", "4085"], ["--reason", "expired"], ["--scope", "host"]):
        assert run(env, "dead", "list", *words).exit_code == exit_codes.NOTHING


@pytest.mark.usefixtures("letters")
def test_a_moment_without_a_zone_is_echoed_with_the_one_that_it_was_read_in(env: dict[str, str]) -> None:
    result = run(env, "dead", "replay", "--since", "2026-01-31T03:00", "--dry-run")
    assert result.stderr.startswith("Died from 2026-01-31T03:00:00+")
    assert run(env, "dead", "list", "--since", "1w2h", "--json").stderr == ""


@pytest.mark.usefixtures("letters")
def test_errors_are_json_where_the_answers_are(env: dict[str, str]) -> None:
    nothing = run(env, "dead", "list", "--key", "nobody", "--json")
    assert json.loads(nothing.stderr) == {
        "error": "nothing",
        "exit_code": 3,
        "message": "No dead letter matches.",
    }
    usage = run(env, "dead", "list", "--json", "--wrong")
    assert (json.loads(usage.stderr)["error"], usage.exit_code) == ("usage", 2)
    away = run({**env, "VOICECODE_BROKER_URL": "redis://127.0.0.1:1/0"}, "dead", "stats", "--json")
    assert (json.loads(away.stderr)["error"], away.exit_code) == ("redis", 4)


def test_a_bug_has_an_exit_code_of_its_own(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FailureQueue, "stats", crash)
    result = run(env, "dead", "stats")
    assert result.exit_code == exit_codes.BUG
    assert "This is a bug (ZeroDivisionError)" in result.stderr


def test_no_calls_left_is_no_good_news(env: dict[str, str], simulator: RunningSimulator) -> None:
    simulator.client.balance(0)
    result = run(env, "balance")
    assert (result.stdout, result.exit_code) == ("0 calls left\n", exit_codes.NOTHING)


@pytest.mark.usefixtures("letters")
def test_a_full_disk_has_an_exit_code_and_leaves_no_file(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    done = subprocess.run(
        [*VOICECODE, "dead", "export", "--to", str(path), "--unmasked"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )
    assert (done.returncode, list(tmp_path.iterdir())) == (exit_codes.NO_DISK, []), done.stderr


def test_a_spill_to_a_full_disk_leaves_no_file_and_every_dead_letter(
    server: Server, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It left an empty file each five seconds."""
    configuration = settings.load(_env_file=None, broker_url=server.url)
    queue = FailureQueue(connect(configuration), configuration, operator="test")
    old = queue.now() - 100_000
    load(redis_client, [dead_letter(n, died_at=old, expires_at=old) for n in range(5)])

    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("worker.failure_queue.transfer.settle", full)
    with pytest.raises(OSError, match="No space left"):
        spill(queue, tmp_path, 5)
    assert (list(tmp_path.iterdir()), queue.stats().total) == ([], 5)


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("columns", [80, 118, 200])
def test_a_list_has_one_line_an_entry_with_its_key_whole(env: dict[str, str], columns: int) -> None:
    _, screen = at_terminal(env, "dead", "list", columns=columns)
    lines = screen.rstrip("\n").split("\n")
    assert len(lines) == 5
    assert max(map(len, lines)) <= columns
    assert [line.split()[1] for line in lines[1:]] == [
        "login:00000001",
        "login:00000002",
        "login:00000003",
        UUID,
    ]
    assert {"died", "key", "sendable"} <= set(lines[0].split())


@pytest.mark.usefixtures("letters")
def test_colours_end_with_no_color(env: dict[str, str]) -> None:
    assert "\x1b[" not in at_terminal(env, "dead", "list")[1]
    assert "\x1b[1m" in at_terminal({**env}, "dead", "list", colour=True)[1]


@pytest.mark.usefixtures("letters")
def test_sendable_means_one_thing(env: dict[str, str], redis_client: redis.Redis) -> None:
    """The list, its filter and the plan agree; what is only not expired is called that."""
    now = float(redis_client.time()[0])
    rung = dead_letter(20, died_at=now - 5, expires_at=now + 600, reason="ambiguous", ambiguous_total=1)
    load(redis_client, [rung])
    listed = [o["key"] for o in objects(run(env, "dead", "list", "--json")) if o["sendable"]]
    filtered = [o["key"] for o in objects(run(env, "dead", "list", "--json", "--sendable"))]
    plan = objects(run(env, "dead", "replay", "--all", "--dry-run", "--json"))[0]["plan"]
    assert listed == filtered
    assert plan["sendable"] == len(listed) == 3
    assert objects(run(env, "dead", "stats", "--json"))[0]["unexpired"] == 4


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["stats"]], ids=" ".join)
def test_a_pipe_that_has_read_enough_is_no_bug(env: dict[str, str], words: list[str]) -> None:
    """`voicecode dead list | head` is a habit."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [*VOICECODE, "dead", *words],
        env=env,
        cwd=ROOT,
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_key_that_somebody_pasted_does_not_act_on_the_terminal(env: dict[str, str]) -> None:
    result = run(env, "dead", "show", "k\x1b[2J")
    assert result.exit_code == exit_codes.NOTHING
    assert result.stderr.startswith("k\\x1b[2J is not in the failure queue")
