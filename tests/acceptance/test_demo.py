"""The README's story, told by the command that it names."""

import ast
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulator import ACCOUNT, APIKEY, start_simulator
from tests.support.workers import ROOT
from worker.demo.samples import DEAD, SAMPLES, Phase
from worker.embedded.server import Server

COMMAND = (sys.executable, "-m", "worker.demo")


def environment(**values: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("VOICECODE_")},
        **values,
    }


def demo(*options: str, **values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env=environment(**values),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def parents() -> dict[int, int]:
    """Return the parent of every process that has not ended."""
    if Path("/proc/self/stat").exists():
        stats = [words for path in Path("/proc").glob("[0-9]*/stat") if (words := stat(path))]
    else:
        stats = [
            line.split()
            for line in subprocess.check_output(
                ["/bin/ps", "-axo", "pid=,stat=,ppid="], text=True
            ).splitlines()
        ]
    return {int(pid): int(parent) for pid, state, parent in stats if not state.startswith("Z")}


def stat(path: Path) -> list[str]:
    try:
        pid, _, rest = path.read_text().partition(" (")
    except OSError:  # it ended while we looked
        return []
    return [pid, *rest.rpartition(") ")[2].split()[:2]]


def descendants(pid: int) -> set[int]:
    known, found = parents(), {pid}
    while more := {child for child, parent in known.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """Run the demo once; give its figures, all that it printed, and its picture."""
    picture = tmp_path_factory.mktemp("demo") / "demo.svg"
    done = demo("--json", "--svg", str(picture))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout, picture


Told = tuple[dict[str, Any], str, Path]


def test_every_code_ends_as_it_should_and_nobody_is_called_twice(told: Told) -> None:
    """I1 and I2: the figures agree with each other and with the gateway's own journal."""
    figures = told[0]
    duplicates = sum(sample.duplicate for sample in SAMPLES)
    assert figures["enqueued"] == len(SAMPLES)
    assert figures["duplicates_suppressed"] == duplicates == 2
    assert figures["codes"] == len(SAMPLES) - duplicates
    assert figures["accepted"] + figures["dead"] == figures["codes"]
    assert figures["dead"] == sum(sample.ends == DEAD for sample in SAMPLES)
    assert figures["calls"] == figures["accepted"]
    assert (figures["unfinished"], figures["unexpected"]) == (0, [])


def test_the_operator_replays_what_still_makes_sense(told: Told) -> None:
    figures = told[0]
    assert (figures["replayed"], figures["replay_refused"]) == (3, 1)
    assert figures["died_before_replay"] - figures["replayed"] == figures["dead"]


@pytest.mark.parametrize(
    ("said", "table", "phase"),
    [
        ("(the account has no calls left)", "Parked while the account was empty", Phase.EMPTY),
        ("(no connection: refused or unreachable)", "Delayed by the outage", Phase.OUTAGE),
    ],
    ids=["empty account", "outage"],
)
def test_sending_stops_and_returns_and_no_code_dies_of_it(
    told: Told, said: str, table: str, phase: Phase
) -> None:
    """The screen names the reason, the codes are parked, one is tried, and all are accepted."""
    printed = told[1]
    stopped = printed.index(f"sending has stopped {said}")
    trial = printed.index("on trial", stopped)
    rows = printed.partition(table)[2].partition("│\n└")[0]
    ends = re.findall(r"│ (accepted|dead|waiting) +│", rows)
    assert stopped < trial < printed.index("all is well again", trial) < printed.index(table)
    assert set(ends) == {"accepted"}
    assert 3 < len(ends) < sum(sample.phase is phase for sample in SAMPLES)


def test_it_takes_half_a_minute_at_most(told: Told) -> None:
    """On an idle machine, and ten seconds more on a busy one."""
    assert 0 < told[0]["elapsed_seconds"] < 40


def test_it_shows_codes_failure_queue_and_summary_and_no_number_in_full(told: Told) -> None:
    _figures, printed, picture = told
    drawn = picture.read_text("utf-8")
    for title in ("What became of them", "The failure queue", "Replayed", "Summary"):
        assert title in printed
    assert "138****8000" in printed
    for text in (printed, drawn):
        assert [sample.name for sample in SAMPLES if str(sample.mobile) in text] == []
    assert "font-face" not in drawn


def test_the_producer_is_stock_celery_and_nothing_of_ours() -> None:
    tree = ast.parse((ROOT / "worker" / "demo" / "web_app.py").read_text())
    imports = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imports |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imports == {"celery", "collections.abc", "typing"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_no_process_behind(number: signal.Signals) -> None:
    """However it is ended, even by `kill -9`."""
    with subprocess.Popen(
        [*COMMAND, "--json"], env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if "accepted" in line:
                break
        mine = descendants(process.pid)
        process.send_signal(number)
    assert len(mine) >= 5  # two guards, server, simulator, worker
    end = time.monotonic() + 10
    while parents().keys() & mine and time.monotonic() < end:
        time.sleep(0.05)
    assert parents().keys() & mine == set()


def test_without_a_terminal_no_real_call_is_placed() -> None:
    done = demo(VOICECODE_ACCOUNT=ACCOUNT, VOICECODE_APIKEY=APIKEY)
    assert done.returncode == 2
    assert "on a terminal only" in done.stderr


def test_half_an_account_is_named() -> None:
    done = demo(VOICECODE_ACCOUNT=ACCOUNT)
    assert done.returncode == 2
    assert "VOICECODE_APIKEY is not set" in done.stderr


def test_a_redis_that_serves_others_is_left_alone(server: Server) -> None:
    """The demo's worker calls nobody: it must never take a real code from a real queue."""
    with server.client() as client:
        client.hset("{voice_codes}:code:login:42", "state", "waiting")
    done = demo(VOICECODE_BROKER_URL=server.url)
    assert done.returncode == 2
    assert "not the demo's" in done.stderr


def talk(answers: dict[str, str], **values: str) -> Iterator[str]:
    """Run the demo on a terminal of its own and answer its questions; yield all that it printed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, COMMAND, environment(**values))  # noqa: S606 - a terminal needs fork and exec
    said, end = "", time.monotonic() + 40
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        try:
            said += os.read(terminal, 65536).decode(errors="replace") if ready else ""
        except OSError:
            break
        for question in [question for question in answers if question in said]:
            os.write(terminal, f"{answers.pop(question)}\n".encode())
    os.close(terminal)
    os.waitpid(pid, 0)
    yield said


@pytest.mark.parametrize(("consent", "calls"), [("call", 1), ("yes", 0)])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_with_an_account_it_asks_and_places_one_call_only(consent: str, calls: int, server: Server) -> None:
    """On the Redis and the gateway that the settings name."""
    with start_simulator() as gateway:
        values = {
            "VOICECODE_ACCOUNT": ACCOUNT,
            "VOICECODE_APIKEY": APIKEY,
            "VOICECODE_GATEWAY_URL": gateway.url,
            "VOICECODE_DYNAMIC_PASSWORD": "true",
            "VOICECODE_BROKER_URL": server.url,
        }
        said = next(talk({"Number to call": "13800138000", "to place the call": consent}, **values))
        placed = gateway.client.calls()
    assert [call.mobile for call in placed] == ["13800138000"] * calls, said
    assert ("accepted" in said) == bool(calls), said
    assert APIKEY not in said
