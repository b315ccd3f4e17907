"""Runs: what was asked and done, what became of the codes, and how a run is cancelled."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config import names, settings
from tests.integration.test_cli import env, objects, run, simulator
from tests.support.command_line import ROOT, VOICECODE, at_terminal
from tests.support.dead_letters import dead_letter, load, load_mixed
from tests.support.proxy import Proxy
from tests.support.workers import LIMIT_SECONDS, RunningWorker, environment, wait_for
from worker.embedded.server import Server
from worker.failure_queue import Choice, FailureQueue, Filter, Pace, RunCancelled
from worker.failure_queue.drain import estimate
from worker.sending.account import Account
from worker.simulator.process import RunningSimulator
from worker.store.client import connect

__all__ = ["env", "simulator"]


@pytest.fixture
def queue(server: Server) -> Iterator[FailureQueue]:
    configuration = settings.load(_env_file=None, broker_url=server.url)
    queue = FailureQueue(connect(configuration), configuration, operator="night shift")
    yield queue
    queue.client.close()


def report(queue: FailureQueue, slots: int) -> None:
    """Let a worker say that it lives, as its reports do."""
    facts = {"worker": "w", "host": "h", "config": "c", "slots": slots, "at": queue.now()}
    queue.client.hset(f"{names.SENDING}:fleet", "w", json.dumps(facts))


def filled(queue: FailureQueue, count: int, *, lives: float = 600.0) -> float:
    """Load dead letters whose lives end one second after the other, the newest death last."""
    now = queue.now()
    load(queue.client, [dead_letter(n, died_at=now - n, expires_at=now + lives + n) for n in range(count)])
    return now


def test_the_soonest_to_expire_goes_first(queue: FailureQueue) -> None:
    now = queue.now()
    lives = (500, 100, 900, 300)
    load(
        queue.client, [dead_letter(n, died_at=now - n, expires_at=now + life) for n, life in enumerate(lives)]
    )
    plan = queue.plan(Filter(), Choice())
    assert [int(key[-1]) for key in plan.keys] == [1, 3, 0, 2]
    assert [round(at - now) for at in plan.expiries] == sorted(lives)


def test_a_plan_says_how_fast_they_drain_and_how_many_expire_meanwhile(queue: FailureQueue) -> None:
    """A worker hints 200 a second. Of 10 slots 9 call waiting codes: 186 a second of 0.0483 s."""
    now = queue.now()
    load(queue.client, [dead_letter(n, died_at=now - 9, expires_at=now + 5) for n in range(1000)])
    plan = queue.plan(Filter(), Choice())
    assert queue.drain(plan, Pace()).seconds is None
    report(queue, slots=10)
    drain = estimate(queue.client, queue.settings, plan.keys, plan.expiries, now=now, per_second=None)
    assert (drain.workers, round(drain.per_second)) == (1, 186)
    assert drain.expiring == pytest.approx(1000 - 5 * 186, abs=2)
    assert queue.drain(plan, Pace(per_second=20)).per_second == 20
    report(queue, slots=400)
    assert queue.drain(plan, Pace()).per_second == 200


def test_a_plan_says_that_sending_is_held(env: dict[str, str], queue: FailureQueue) -> None:
    filled(queue, 3)
    assert "no worker is live" in run(env, "dead", "replay", "--all", "--dry-run").stderr
    report(queue, slots=10)
    Account(queue.client, operator="boss").hold("provider called")
    told = run(env, "dead", "replay", "--all", "--dry-run")
    assert "WARNING: sending is held by boss: until it resumes they wait" in told.stderr
    assert "a second (1 worker, 10 slots)" in told.stdout


def test_a_run_tells_what_was_asked_what_was_done_and_what_became_of_it(
    env: dict[str, str], queue: FailureQueue, simulator: RunningSimulator, tmp_path: Path
) -> None:
    filled(queue, 20)
    done = objects(run(env, "dead", "replay", "--code", "4051", "--yes", "--json"))[-1]
    name = done["run"]
    shown = objects(run(env, "dead", "run", "show", name, "--json"))[0]
    assert (shown["action"], shown["operator"], shown["planned"]) == ("replay", "night shift", 20)
    assert shown["asked"] == "code=4051; sendable only; no rate"
    assert (shown["counts"], shown["since"]) == ({"replayed": 20}, {"waiting": 20})
    simulator.client.balance(15)
    worker_env = {**env, **environment(broker_url=env["VOICECODE_BROKER_URL"], gateway_url=simulator.url)}
    with RunningWorker(tmp_path / "worker.log", worker_env).wait_ready():
        wait_for(lambda: not queue.client.zcard(names.DUE), LIMIT_SECONDS, "the end of all")
    since = objects(run(env, "dead", "run", "show", name, "--json"))[0]["since"]
    assert since == {"accepted": 15, "failed": 5}
    assert "since then  " in run(env, "dead", "run", "show", name).stdout
    assert [line.split("\t")[2] for line in run(env, "dead", "runs").stdout.splitlines()] == ["replay"]
    assert run(env, "dead", "run", "show", "nobody").exit_code == 3


def test_a_replay_at_a_terminal_is_followed_to_its_end(
    env: dict[str, str], queue: FailureQueue, simulator: RunningSimulator, tmp_path: Path
) -> None:
    filled(queue, 30)
    given: dict[str, Any] = {"broker_url": env["VOICECODE_BROKER_URL"], "gateway_url": simulator.url}
    with RunningWorker(tmp_path / "worker.log", environment(**given, stop_sending=True)).wait_ready():
        wait_for(lambda: queue.client.hlen(f"{names.SENDING}:fleet"), LIMIT_SECONDS, "its report")
        status, screen = at_terminal(env, "dead", "replay", "--all", answers="y")
    assert status == 0
    assert "Since then: accepted 30." in screen


def test_a_cancelled_replay_takes_back_what_nobody_has_called(
    env: dict[str, str], queue: FailureQueue
) -> None:
    """They are the dead letters again that they were, with the time of their death."""
    filled(queue, 50)
    before = {
        key: queue.client.hmget(names.RECORD_PREFIX + key, "reason", "died_at")
        for key in queue.keys(Filter())
    }
    name = objects(run(env, "dead", "replay", "--all", "--yes", "--json"))[-1]["run"]
    called = "login:00000007"
    queue.client.hset(names.RECORD_PREFIX + called, "state", "calling")
    result = run(env, "dead", "run", "cancel", name, "--yes", "--json")
    assert (objects(result)[0]["cancelled"], objects(result)[0]["went_on"]) == (49, 1)
    assert result.exit_code == 5
    assert queue.client.zrange(names.DUE, 0, -1) == [called]
    after = {
        key: queue.client.hmget(names.RECORD_PREFIX + key, "reason", "died_at")
        for key in queue.keys(Filter())
    }
    assert after == {key: value for key, value in before.items() if key != called}
    assert queue.stats().by_code == {"4051": 49}
    assert len(queue.plan(Filter(), Choice()).keys) == 49
    assert len([line for line in queue.audit() if line.action == "cancel"]) == 49


def test_a_run_that_goes_on_ends_when_it_is_cancelled(env: dict[str, str], queue: FailureQueue) -> None:
    filled(queue, 300)
    words = [*VOICECODE, "dead", "replay", "--all", "--yes", "--rate", "40/s"]
    with subprocess.Popen(
        words, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: queue.client.zcard(names.DUE), LIMIT_SECONDS, "its begin")
        (going,) = queue.runs.latest(5)
        assert going.ended_at is None
        run(env, "dead", "run", "cancel", going.run, "--yes")
        _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 5
    assert "cancelled by night shift" in err
    assert queue.runs.get(going.run).stopped == "cancelled by night shift"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("how", "exit_code", "told", "stopped"),
    [
        ("Ctrl-C", 130, "Interrupted: no file is left.", "interrupted"),
        ("run cancel", 3, "cancelled by night shift: no file is left.", "cancelled by night shift"),
    ],
)
def test_an_export_that_ends_early_leaves_no_file_and_says_why(  # noqa: PLR0913 - one argument per fact
    env: dict[str, str],
    queue: FailureQueue,
    tmp_path: Path,
    *,
    how: str,
    exit_code: int,
    told: str,
    stopped: str,
) -> None:
    load_mixed(queue.client, 20_000, now=queue.now(), span_seconds=1_000, sendable=0)
    path = tmp_path / "letters"
    words = [*VOICECODE, "dead", "export", "--to", str(path)]
    with subprocess.Popen(words, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: path.exists() and path.stat().st_size, LIMIT_SECONDS, "its first lines")
        (going,) = queue.runs.latest(5)
        process.send_signal(signal.SIGINT) if how == "Ctrl-C" else queue.runs.cancel(going.run)
        _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, path.exists()) == (exit_code, False)
    assert told in err
    assert queue.runs.get(going.run).stopped == stopped  # type: ignore[union-attr]


def test_an_export_onto_a_file_that_is_there_says_so_in_its_run(
    env: dict[str, str], queue: FailureQueue, tmp_path: Path
) -> None:
    filled(queue, 1)
    (tmp_path / "there").write_text("precious")
    assert run(env, "dead", "export", "--to", str(tmp_path / "there")).exit_code == 2
    assert [(r.action, r.counts, r.stopped) for r in queue.runs.latest(5)] == [("export", {}, "File exists")]


def test_a_discard_that_somebody_cancels_says_by_whom(queue: FailureQueue) -> None:
    filled(queue, 300)
    going = queue.discard(list(queue.keys(Filter())), run="mine")
    next(going)
    queue.runs.cancel("mine")
    with pytest.raises(RunCancelled, match="cancelled by night shift"):
        list(going)
    assert queue.stats().total == 100


def test_a_run_that_has_ended_cannot_be_cancelled_unless_it_replayed(
    env: dict[str, str], queue: FailureQueue, tmp_path: Path
) -> None:
    filled(queue, 1)
    assert queue.export(tmp_path / "letters", Filter(), name="mine") == 1
    done = run(env, "dead", "run", "cancel", "mine", "--yes")
    assert (done.exit_code, done.stderr) == (3, "The export has ended: there is nothing to cancel.\n")
    assert (tmp_path / "letters").exists()


def test_an_undo_names_the_run_that_it_undoes(env: dict[str, str], queue: FailureQueue) -> None:
    filled(queue, 5)
    discarded = objects(run(env, "dead", "discard", "--all", "--yes", "--json"))[0]["run"]
    assert run(env, "dead", "run", "cancel", discarded, "--yes").exit_code == 2
    undone = objects(run(env, "dead", "undo", "--run", discarded, "--json"))[0]
    assert (undone["undone"], undone["restored"]) == (discarded, 5)
    begin, end = (line.detail for line in queue.audit(run=undone["run"]) if line.action in {"begin", "end"})
    assert {begin, end} == {f"undo: run {discarded}", "undo: restored 5"}


def test_a_redis_that_is_lost_midway_leaves_word_of_what_was_done(
    env: dict[str, str], queue: FailureQueue, server: Server
) -> None:
    filled(queue, 300)
    with Proxy().start(server.port) as proxy:
        away = {**env, "VOICECODE_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        words = [*VOICECODE, "dead", "replay", "--all", "--yes", "--rate", "40/s"]
        with subprocess.Popen(
            words, env=away, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_for(lambda: queue.client.zcard(names.DUE), LIMIT_SECONDS, "its begin")
            proxy.cut()
            out, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 4
    assert " of 300. Run " in out
    assert "Redis cannot be reached" in err


def test_a_run_is_kept_for_a_week_and_the_list_of_them_is_bounded(
    queue: FailureQueue, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.failure_queue.runs._MOST", 3)
    filled(queue, 2)
    progress: Any = queue.replay(queue.plan(Filter(), Choice()).keys, Choice())
    list(progress)
    week = 7 * 86_400
    keys = [names.RUN_PREFIX + progress.progress.run, f"{names.RUN_PREFIX}{progress.progress.run}:replayed"]
    assert [week - 60 < int(redis_client.ttl(key)) <= week for key in keys] == [True, True]
    for _ in range(5):
        list(queue.discard([]))
    assert redis_client.zcard(names.RUNS) == 3
