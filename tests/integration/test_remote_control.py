"""Celery's own commands against real workers: true answers, or one sentence that names ours."""

import json
import signal

import pytest

from config import names
from tests.integration.test_habits import celery
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.process import celery_commands

NODE = "worker1@tests"
SECONDS = ("-t", "20")


def asked(sandbox: Sandbox, *words: str) -> object:
    done = celery(
        sandbox, "-A", "worker", words[0], "-j", *SECONDS, "-d", NODE, *words[1:], remote_control=True
    )
    assert done.returncode == 0, done.stderr
    replies = json.loads(done.stdout.splitlines()[0])
    return (replies[0] if isinstance(replies, list) else replies)[NODE]


def test_a_worker_that_may_be_asked_answers_what_is_true(sandbox: Sandbox) -> None:
    worker = sandbox.worker(remote_control=True, options=("-c", "4"))
    assert asked(sandbox, "status") == {"ok": "pong"}
    task_id = sandbox.send("13800138000", "0042")
    wait_for(sandbox.gateway.submissions, LIMIT_SECONDS, "the call")
    sandbox.wait_state(task_id)
    stats = asked(sandbox, "inspect", "stats")
    assert isinstance(stats, dict)
    assert (stats["pid"], stats["pool"]["max-concurrency"]) == (worker.pid, 4)
    assert stats["total"] == {names.SEND_TASK: 1}
    assert asked(sandbox, "inspect", "active") == []
    assert asked(sandbox, "inspect", "registered") == [names.CANCEL_TASK, names.RESUME_TASK, names.SEND_TASK]
    (queue,) = list(asked(sandbox, "inspect", "active_queues"))  # type: ignore[call-overload]
    assert queue["name"] == names.QUEUE
    assert asked(sandbox, "control", "shutdown") == {"ok": "this worker ends its calls and then itself"}
    wait_for(lambda: not worker.running, LIMIT_SECONDS, "the end")


def test_an_active_code_is_listed_without_number_and_code(sandbox: Sandbox) -> None:
    sandbox.gateway.rates({"slow:25": 1.0})
    worker = sandbox.worker(
        remote_control=True,
        read_timeout_seconds=30,
        attempt_deadline_seconds=40,
        lease_seconds=50,
        hold_seconds=50,
        visibility_timeout_seconds=60,
        heartbeat_max_age_seconds=60,
    )
    sandbox.send("13800138000", "0042")
    wait_for(sandbox.gateway.submissions, LIMIT_SECONDS, "the call")
    (task,) = list(asked(sandbox, "inspect", "active"))  # type: ignore[call-overload]
    assert (task["name"], task["args"], task["kwargs"]) == (names.SEND_TASK, [], {})
    assert "13800138000" not in json.dumps(task)
    worker.signal(signal.SIGKILL)


def test_without_the_setting_one_sentence_says_so(sandbox: Sandbox) -> None:
    sandbox.worker()
    for words in (["status"], ["inspect", "ping"], ["control", "shutdown"]):
        done = celery(sandbox, "-A", "worker", *words)
        assert (done.returncode, done.stderr) == (69, f"Error: {celery_commands.OFF}\n")
    assert sandbox.workers[0].running


@pytest.mark.parametrize(
    "words",
    [
        ["events"],
        ["migrate", "redis://a", "redis://b"],
        ["purge", "-f"],
        ["result", "x"],
        ["graph", "workers"],
    ],
)
def test_what_has_no_meaning_here_is_told_in_a_sentence(sandbox: Sandbox, words: list[str]) -> None:
    sandbox.send()
    done = celery(sandbox, "-A", "worker", *words)
    assert (done.returncode, done.stderr) == (1, celery_commands.COMMANDS[words[0]] + "\n")
    assert sandbox.standing() == {names.QUEUE: 1}


def test_so_is_a_remote_command_without_meaning(sandbox: Sandbox) -> None:
    for words in (["control", "pool_grow", "3"], ["inspect", "revoked"], ["control", "enable_events"]):
        done = celery(sandbox, "-A", "worker", *words, remote_control=True)
        assert (done.returncode, done.stderr) == (69, f"Error: {celery_commands.REMOTE[words[1]]}\n")
