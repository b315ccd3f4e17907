"""The command line's promises: exit codes, JSON, what it asks and what it refuses."""

import base64
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from config import names
from tests.support.command_line import ROOT, VOICECODE, at_terminal, in_pipe
from tests.support.dead_letters import dead_letter, load
from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, environment, wait_for
from worker.cli import voicecode
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def env(server: Server, simulator: RunningSimulator) -> dict[str, str]:
    simulator.client.reset()
    return environment(broker_url=server.url, gateway_url=simulator.url, operator="night shift")


@pytest.fixture
def letters(redis_client: redis.Redis) -> float:
    """Load three dead letters: one sendable, one expired, one that may have rung.

    Return the server's time.
    """
    now = float(redis_client.time()[0])
    load(
        redis_client,
        [
            dead_letter(1, died_at=now - 1000, expires_at=now + 600),
            dead_letter(2, died_at=now - 2000, expires_at=now - 1000),
            dead_letter(
                3,
                died_at=now - 3000,
                expires_at=now + 600,
                row="reset",
                reason="ambiguous",
                ambiguous_total=1,
            ),
        ],
    )
    return now


def run(env: dict[str, str], *words: str) -> Result:
    """Run a command in this process, without a terminal."""
    return CliRunner().invoke(
        voicecode, words, env={**dict.fromkeys(os.environ, None), **env}, prog_name="voicecode"
    )


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("letters")
def test_a_list_in_a_pipe_is_tab_separated_and_masked(env: dict[str, str]) -> None:
    result = run(env, "dead", "list")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [row[1:5] for row in rows] == [
        ["login:00000001", "130****0001", "permanent", "4051"],
        ["login:00000002", "130****0002", "permanent", "4051"],
        ["login:00000003", "130****0003", "ambiguous", "reset"],
    ]
    assert [row[-1] for row in rows] == ["yes", "no", "no"]


@pytest.mark.usefixtures("letters")
def test_filters_and_cursor_reach_the_list(env: dict[str, str]) -> None:
    assert [
        o["key"] for o in objects(run(env, "dead", "list", "--json", "--sendable", "--no-ambiguous"))
    ] == ["login:00000001"]
    assert [
        o["key"] for o in objects(run(env, "dead", "list", "--json", "--since", "2500s", "--until", "20m"))
    ] == ["login:00000002"]
    assert [
        o["key"] for o in objects(run(env, "dead", "list", "--json", "--code", "reset", "--code", "405"))
    ] == ["login:00000003"]
    assert [o["key"] for o in objects(run(env, "dead", "list", "--json", "--mobile-ends", "0002"))] == [
        "login:00000002"
    ]
    first = run(env, "dead", "list", "--json", "--limit", "1")
    more = run(env, "dead", "list", "--json", "--cursor", objects(first)[0]["cursor"])
    assert [o["key"] for o in objects(first) + objects(more)] == [
        "login:00000001",
        "login:00000002",
        "login:00000003",
    ]


@pytest.mark.usefixtures("letters")
def test_exit_codes_tell_what_happened(env: dict[str, str]) -> None:
    """The table is `worker.cli.exit_codes.CODES`."""
    assert run(env, "dead", "stats").exit_code == 0
    assert run(env, "dead", "list", "--key", "nobody").exit_code == 3
    assert run(env, "dead", "show", "nobody").exit_code == 3
    assert run(env, "status", "nobody").exit_code == 3
    assert run(env, "dead", "replay", "--code", "405", "--yes").exit_code == 3
    assert run(env, "dead", "purge", "--older-than", "1d", "--yes").exit_code == 3
    assert run(env, "dead", "undo", "--run", "nobody").exit_code == 3
    assert run(env, "dead", "list", "--mobile-ends", "80").exit_code == 2
    assert run(env, "dead", "list", "--since", "yesterday").exit_code == 2
    assert run(env, "dead", "purge", "--older-than", "1m", "--yes").exit_code == 2
    assert run(env, "dead", "replay", "--all", "--yes", "--rate", "fast").exit_code == 2
    assert run(env, "dead", "undo", "login:00000001").exit_code == 3
    assert run(env, "dead", "replay", "login:00000001", "nobody", "--yes").exit_code == 5


@pytest.mark.parametrize(
    "words", [["dead", "list"], ["dead", "stats"], ["status", "a"], ["send", "13800138000", "1234"]]
)
def test_redis_out_of_reach_is_one_line(env: dict[str, str], words: list[str]) -> None:
    result = run({**env, "VOICECODE_BROKER_URL": NOWHERE}, *words)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("Redis cannot be reached")
    assert result.stderr.count("\n") == 1


def test_wrong_settings_are_listed_and_no_traceback_hides_them(env: dict[str, str]) -> None:
    result = run(
        {**env, "VOICECODE_CONCURRENCY": "many", "VOICECODE_BROKER_URL": "amqp://u:hush@localhost"},
        "dead",
        "list",
    )
    assert result.exit_code == 2
    assert "VOICECODE_CONCURRENCY" in result.stderr
    assert "VOICECODE_BROKER_URL" in result.stderr
    assert "hush" not in result.stderr


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    "words",
    [
        ["replay", "--sendable"],
        ["discard", "--code", "4051"],
        ["purge", "--older-than", "20m"],
        ["import", str(ROOT / "README.md")],
    ],
    ids=" ".join,
)
def test_without_a_terminal_nothing_is_changed_unless_yes_is_said(
    env: dict[str, str], words: list[str]
) -> None:
    result = run(env, "dead", *words)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert objects(run(env, "dead", "stats", "--json"))[0]["total"] == 3


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("command", ["replay", "discard"])
def test_nobody_replays_or_discards_everything_by_leaving_the_filter_out(
    env: dict[str, str], command: str
) -> None:
    result = run(env, "dead", command, "--yes")
    assert result.exit_code == 2
    assert "say --all" in result.stderr
    assert objects(run(env, "dead", "stats", "--json"))[0]["total"] == 3


@pytest.mark.usefixtures("letters")
def test_a_dry_run_changes_nothing(env: dict[str, str], redis_client: redis.Redis) -> None:
    plan = objects(run(env, "dead", "replay", "--all", "--dry-run", "--json"))[0]["plan"]
    assert plan == {"sendable": 1, "expired": 1, "superseded": 0, "ambiguous": 1, "unsendable": 0, "total": 3}
    assert objects(run(env, "dead", "discard", "--all", "--dry-run", "--json")) == [{"matching": 3}]
    assert objects(run(env, "dead", "purge", "--older-than", "20m", "--dry-run", "--json")) == [
        {"matching": 2}
    ]
    assert redis_client.zcard(names.DEAD) == 3
    assert redis_client.exists(names.DUE) == 0


@pytest.mark.usefixtures("letters")
def test_a_replay_takes_the_sendable_ones_only(env: dict[str, str], redis_client: redis.Redis) -> None:
    done = objects(run(env, "dead", "replay", "--all", "--yes", "--json"))[-1]
    assert (done["replayed"], done["left"], done["plan"]["total"]) == (1, 0, 3)
    assert redis_client.zrange(names.DUE, 0, -1) == ["login:00000001"]
    warned = run(
        env,
        "dead",
        "replay",
        "--key",
        "login:00000002",
        "--key",
        "login:00000003",
        "--include-ambiguous",
        "--expires-in",
        "60",
        "--yes",
    )
    assert warned.exit_code == 0
    assert "some phones may ring a second time" in warned.stderr
    assert "new life of 60 s" in warned.stderr
    assert redis_client.zcard(names.DUE) == 3


@pytest.mark.usefixtures("letters")
def test_a_named_key_that_is_not_dead_is_told(env: dict[str, str]) -> None:
    result = run(env, "dead", "replay", "login:00000001", "nobody", "--yes")
    assert result.exit_code == 5
    assert "Replayed 1 of 1." in result.stdout
    assert "1  are not in the failure queue" in result.stdout


@pytest.mark.usefixtures("letters")
def test_a_discard_tells_how_it_is_undone(env: dict[str, str]) -> None:
    told = run(env, "dead", "discard", "--code", "4051", "--yes").stdout
    assert "Discarded 2. To undo it within 24 hours: voicecode dead undo --run " in told
    assert objects(run(env, "dead", "stats", "--json"))[0]["total"] == 1
    undone = told.split("--run ")[1].strip()
    assert f"Brought back 2 of 2 of run {undone}. Run " in run(env, "dead", "undo", "--run", undone).stdout
    assert objects(run(env, "dead", "stats", "--json"))[0]["total"] == 3


@pytest.mark.usefixtures("letters")
def test_export_purge_and_import_go_round(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    assert run(env, "dead", "export", "--to", str(path), "--unmasked").exit_code == 0
    assert run(env, "dead", "export", "--to", str(path)).exit_code == 2
    assert objects(run(env, "dead", "purge", "--older-than", "10m", "--yes", "--json"))[0]["purged"] == 3
    (done,) = objects(run(env, "dead", "import", str(path), "--yes", "--json"))
    assert (done["imported"], done["known"], done["left_out"]) == (3, 0, 0)
    assert run(env, "dead", "import", str(path), "--yes").exit_code == 3


@pytest.mark.usefixtures("letters")
def test_show_tells_the_timeline_and_the_audit_who_did_what(env: dict[str, str]) -> None:
    shown = run(env, "dead", "show", "login:00000001").stdout
    assert "130****0001" in shown
    assert "剩余条数不足" in shown
    assert "0001" not in shown.replace("130****0001", "").replace("login:00000001", "")
    run(env, "dead", "discard", "login:00000001", "--yes")
    assert run(env, "dead", "show", "login:00000001").exit_code == 0
    line = objects(run(env, "dead", "audit", "--key", "login:00000001", "--json"))[0]
    assert (line["action"], line["operator"], line["row"]) == ("discard", "night shift", "4051")


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e4321\u200b\x9b31m\r\nstate          accepted"


@pytest.fixture
def hostile(redis_client: redis.Redis) -> str:
    """Load a dead letter whose texts would act on a terminal, and return its key."""
    now = float(redis_client.time()[0])
    texts = dict.fromkeys(("reason", "row", "scope", "reply_message", "purpose", "detail"), HOSTILE)
    attempt = json.dumps({"row": HOSTILE, "reply_message": HOSTILE, "worker": HOSTILE})
    record = {**texts, "raw": json.dumps([HOSTILE]), "attempt:1": attempt}
    load(redis_client, [dead_letter(7, died_at=now - 1000, expires_at=now + 600, **record)])
    return "login:00000007"


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--json"],
        ["show", "login:00000007"],
        ["show", "login:00000007", "--unmasked"],
        ["show", "login:00000007", "--json"],
        ["show", "login:00000007", "--json", "--unmasked"],
        ["stats"],
        ["stats", "--json"],
        ["audit"],
        ["audit", "--json"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("hostile")
def test_no_text_of_a_stranger_acts_on_the_terminal(env: dict[str, str], words: list[str]) -> None:
    """Escapes would rewrite the screen, bidirectional marks turn a number or a command round."""
    result = run(env, "dead", *words)
    assert result.exit_code == 0
    assert [c for c in result.stdout if not c.isprintable() and c not in "\n\t"] == []
    assert not [line for line in result.stdout.splitlines() if line.startswith("state          accepted")]
    if "--json" in words:
        assert objects(result)


def test_on_a_terminal_neither(env: dict[str, str], hostile: str) -> None:
    for words in (["dead", "list"], ["dead", "show", hostile], ["status", hostile]):
        _, screen = at_terminal(env, *words)
        assert "owned" in screen
        assert not {"\x1b]", "\x1b[2J", "\u202e", "\u200b", "\x9b"} & {
            found for found in ("\x1b]", "\x1b[2J", "\u202e", "\u200b", "\x9b") if found in screen
        }


def test_a_message_that_nobody_could_read_shows_neither_number_nor_code(
    env: dict[str, str], redis_client: redis.Redis
) -> None:
    """A body in base64 is as good as clear text."""
    now = float(redis_client.time()[0])
    body = base64.b64encode(json.dumps([{"mobile": "13800138000"}, {"code": "0042"}, {}]).encode()).decode()
    raw = json.dumps({"body": body, "headers": {"task": "send_voice_code"}})
    fields = {
        "reason": "unreadable",
        "row": "",
        "raw": raw,
        "detail": "args is not a list",
        "mobile": "",
        "code": "",
    }
    load(redis_client, [dead_letter(7, died_at=now - 9, expires_at=0, **fields)])
    for words in (["dead", "show"], ["status"], ["dead", "show", "--json"], ["status", "--json"]):
        shown = run(env, *words, "login:00000007").stdout
        assert body not in shown
        assert "args is not a list" in shown
        assert "send_voice_code" in shown
        assert '{\\"mobile\\": \\"<11 characters>\\"}' in shown or '{"mobile": "<11 characters>"}' in shown
    assert body in run(env, "dead", "show", "--unmasked", "login:00000007").stdout


@pytest.mark.usefixtures("letters")
def test_a_new_life_is_no_longer_than_a_message_may_ask_for(
    env: dict[str, str], redis_client: redis.Redis
) -> None:
    result = run(env, "dead", "replay", "--all", "--yes", "--expires-in", "30000000")
    assert result.exit_code == 2
    assert "at most VOICECODE_MAX_TTL_SECONDS long (3600 s)" in result.stderr
    assert run(env, "send", "13800138000", "1234", "--expires-in", "30000000").exit_code == 2
    assert redis_client.exists(names.DUE, names.QUEUE) == 0


@pytest.mark.usefixtures("letters")
def test_on_a_terminal_there_is_a_table_and_a_question(
    env: dict[str, str], redis_client: redis.Redis
) -> None:
    status, screen = at_terminal(env, "dead", "list")
    assert status == 0
    assert screen.split("\n")[0].split() == [
        "died",
        "key",
        "mobile",
        "reason",
        "code",
        "message",
        "attempts",
        "rung",
        "sendable",
    ]
    status, screen = at_terminal(env, "dead", "replay", "--sendable", answers="n")
    assert "Replay 1 codes now? [y/N]" in screen
    assert (status, redis_client.exists(names.DUE)) == (6, 0)
    status, screen = at_terminal(env, "dead", "replay", "--sendable", answers="y")
    assert (status, redis_client.zcard(names.DUE)) == (0, 1)


def test_ctrl_c_ends_a_replay_and_the_same_command_goes_on(env: dict[str, str], redis_client: Any) -> None:
    now = float(redis_client.time()[0])
    load(redis_client, [dead_letter(n, died_at=now - n, expires_at=now + 600) for n in range(60)])
    words = [*VOICECODE, "dead", "replay", "--all", "--yes", "--rate"]
    with subprocess.Popen(
        [*words, "2/s"], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: redis_client.zcard(names.DUE) >= 2, LIMIT_SECONDS, "the replay to begin")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    back = redis_client.zcard(names.DUE)
    assert (process.returncode, redis_client.zcard(names.DEAD)) == (5, 60 - back)
    assert back < 60
    assert "of 60. Run" in out
    assert "interrupted: the same command continues with the rest" in err
    assert (
        run(env, "dead", "replay", "--all", "--yes")
        .stdout.splitlines()[-1]
        .startswith(f"Replayed {60 - back} of {60 - back}.")
    )
    assert redis_client.zcard(names.DUE) == 60


def test_what_is_sent_waits_on_the_queue_with_nothing_in_clear_in_its_headers(
    env: dict[str, str], redis_client: Any
) -> None:
    assert run(env, "send", "+86 138-0013-8000", "0042", "--key", "k", "--purpose", "login").exit_code == 0
    message = json.loads(redis_client.lindex(names.QUEUE, 0))
    assert message["headers"]["task"] == names.SEND_TASK
    assert "0042" not in json.dumps(message["headers"])
    assert "8000138000" not in json.dumps(message["headers"]).replace("-", "").replace("*", "")


def test_waiting_ends_with_the_life_of_a_code_that_no_worker_sees(env: dict[str, str]) -> None:
    result = run(
        {**env, "VOICECODE_VISIBILITY_TIMEOUT_SECONDS": "1.6"},
        "send",
        "13800138000",
        "1234",
        "--wait",
        "--expires-in",
        "0.1",
    )
    assert result.exit_code == 1
    assert "Is one running?" in result.stderr


@pytest.mark.parametrize(
    "words", [["139", "1234"], ["13800138000", "12"], ["13800138000", "1234", "--key", "a b"]], ids=" ".join
)
def test_what_cannot_be_called_is_not_sent(
    env: dict[str, str], redis_client: redis.Redis, words: list[str]
) -> None:
    assert run(env, "send", *words).exit_code == 2
    assert redis_client.exists(names.QUEUE) == 0


def test_the_balance_is_what_the_gateway_says(env: dict[str, str], simulator: RunningSimulator) -> None:
    simulator.client.balance(7)
    assert objects(run(env, "balance", "--json"))[0]["balance"] == 7
    simulator.client.account("4050")
    result = run(env, "balance")
    assert result.exit_code == 1
    assert "docs/operating.md#account-frozen" in result.stderr


def test_settings_are_shown_without_secrets_and_wrong_ones_are_named(env: dict[str, str]) -> None:
    shown = run({**env, "VOICECODE_BROKER_URL": "redis://u:hush@localhost/0"}, "settings")
    assert shown.exit_code == 0
    assert "hush" not in shown.stdout
    assert env["VOICECODE_APIKEY"] not in shown.stdout
    assert "VOICECODE_CONCURRENCY\t10\tset" in shown.stdout
    wrong = run({**env, "VOICECODE_CONCURRENCY": "many", "VOICECODE_ACOUNT": "typo"}, "settings")
    assert wrong.exit_code == 2
    assert "VOICECODE_CONCURRENCY\tmany\twrong" in wrong.stdout
    assert "VOICECODE_ACOUNT: there is no such setting" in wrong.stderr


def test_help_needs_none_of_the_heavy_libraries(env: dict[str, str]) -> None:
    heavy = ("redis", "celery", "pydantic", "rich", "requests")
    script = f"import sys, worker.cli; print(*(m for m in {heavy} if m in sys.modules))"
    assert in_pipe(env, "-c", script, command=(sys.executable,)).stdout.strip() == ""


@pytest.mark.usefixtures("letters")
def test_it_is_a_command_of_celery_too(env: dict[str, str], tmp_path: Path) -> None:
    """`celery -A worker voicecode dead list`, by the entry point that the package declares."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
        "celery.commands"
    ]
    metadata = tmp_path / "made_up-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[celery.commands]\n" + "".join(f"{n} = {v}\n" for n, v in entry_points.items())
    )
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    celery = (sys.executable, "-m", "celery", "-A", "worker")
    found = in_pipe({**env, "PYTHONPATH": path}, "voicecode", "dead", "list", command=celery)
    assert found.returncode == 0, found.stderr
    assert [line.split("\t")[1] for line in found.stdout.splitlines()] == [
        "login:00000001",
        "login:00000002",
        "login:00000003",
    ]
