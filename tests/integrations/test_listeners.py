"""Sentry, Flower and celery-exporter, as they are installed, see each code's end, redacted.

Each is installed into an environment of its own, from its lock in `peers/`.
"""

import contextlib
import gzip
import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.venvs import bin_of
from tests.support.receiver import Receiver
from tests.support.sandbox import CODE, MOBILE, Sandbox
from tests.support.workers import ROOT, wait_for

pytestmark = pytest.mark.integrations
REFUSED: Final = "13900000001"
LATER: Final = "13900000002"
KEYS: Final = ("key-good", "key-refused", "key-later", "key-wrong")
SECRETS: Final = (MOBILE, REFUSED, LATER, f'"{CODE}"', f"'{CODE}'", *KEYS)


def send_each_fate(sandbox: Sandbox) -> None:
    """Send a code that is accepted, one that dies, one that is tried again, and a bad message."""
    sandbox.gateway.script(REFUSED, ["4085"])
    sandbox.gateway.script(LATER, ["http_503"])
    for key, mobile in zip(KEYS, (MOBILE, REFUSED, LATER, "12"), strict=True):
        sandbox.producer().send_task(
            "send_voice_code",
            args=[mobile, CODE],
            kwargs={"key": key},
            queue="voice_codes",
            task_id=key.replace("key", "task"),
        )
    sandbox.wait_state(["key-good", "key-later"])
    sandbox.wait_state(["key-refused", "key-wrong"], "dead")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, **env: str) -> Iterator[None]:
    """Run a program while the block runs."""
    silent: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        command, cwd=ROOT / "tests", env={"PATH": "/usr/bin:/bin", **env}, **silent
    ) as program:
        try:
            yield
        finally:
            program.terminate()


def fetched(address: str) -> str:
    """Return a page; nothing while it is not there."""
    try:
        with urllib.request.urlopen(address) as reply:  # noqa: S310 - our own
            return str(reply.read().decode())
    except OSError:
        return ""


def test_flower_shows_each_message_with_its_end(sandbox: Sandbox) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = (str(bin_of("flower") / "celery"), f"--broker={sandbox.url}", "flower", f"--port={port}")
    with running(*command, "--address=127.0.0.1", FLOWER_UNAUTHENTICATED_API="true"):
        wait_for(lambda: sandbox.redis.exists("_kombu.binding.celeryev"), 60, "Flower to listen")
        sandbox.worker(options=("-E",))
        send_each_fate(sandbox)

        def states() -> dict[str, str]:
            shown = json.loads(fetched(f"{address}/api/tasks") or "{}")
            return {task: facts["state"] for task, facts in shown.items()}

        expected = {
            "task-good": "SUCCESS",
            "task-later": "SUCCESS",
            "task-refused": "FAILURE",
            "task-wrong": "FAILURE",
        }
        wait_for(lambda: states() == expected, 30, f"Flower to show {expected}, not {states()}")
        tasks, metrics = fetched(f"{address}/api/tasks"), fetched(f"{address}/metrics")
    assert json.loads(tasks)["task-refused"]["exception"] == "DeadLetter('permanent 4085')"
    assert json.loads(tasks)["task-good"]["worker"] == "worker1@tests"
    (retried,) = re.findall(r'flower_events_total\{.*type="task-retried".*\} ([0-9.]+)', metrics)
    assert float(retried) == 1
    assert not [secret for secret in SECRETS if secret in tasks + metrics]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="celery-exporter does not install there")
def test_celery_exporter_counts_each_end(sandbox: Sandbox) -> None:
    port = free_port()
    command = (str(bin_of("celery_exporter") / "python"), "-c", "from src.cli import cli; cli()")
    options = (f"--broker-url={sandbox.url}", f"--port={port}", "--host=127.0.0.1")
    with running(*command, *options):
        wait_for(lambda: sandbox.redis.exists("_kombu.binding.celeryev"), 60, "the exporter to listen")
        sandbox.worker(options=("-E",))
        send_each_fate(sandbox)

        def counted() -> dict[str, float]:
            page = fetched(f"http://127.0.0.1:{port}/metrics")
            lines = re.findall(r"^celery_task_(\w+)_total\{(.*)\} ([0-9.]+)$", page, re.MULTILINE)
            found: dict[str, float] = {}
            for name, labels, value in lines:
                if "send_voice_code" in labels:
                    found[name] = found.get(name, 0) + float(value)
            return found

        expected = {"received": 4, "started": 5, "succeeded": 2, "failed": 2, "retried": 1}
        wait_for(lambda: {k: v for k, v in counted().items() if v} == expected, 30, f"{expected}")
        page = fetched(f"http://127.0.0.1:{port}/metrics")
    assert not [secret for secret in SECRETS if secret in page]


def events(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the events in what Sentry's SDK posted."""
    items = [json.loads(line) for line in posted(receiver).splitlines() if line[:1] == "{"]
    return [item for item in items if "exception" in item]


def posted(receiver: Receiver) -> str:
    return "\n".join(gzip.decompress(body).decode("utf-8", "replace") for _, _, body in receiver.posted)


def test_sentry_hears_of_dead_letters_as_the_page_connects_it(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    (snippet,) = re.findall(r'```python\n("""voice_app\.py:.*?)```', page, re.DOTALL)
    (tmp_path / "voice_app.py").write_text(snippet)
    (packages,) = bin_of("sentry").parent.glob("lib/*/site-packages")
    with Receiver() as receiver:
        monkeypatch.setenv("SENTRY_DSN", f"http://public@127.0.0.1:{receiver.server_port}/1")
        sandbox.worker(app="voice_app", python_path=f"{tmp_path}:{ROOT}:{packages}")
        send_each_fate(sandbox)
        wait_for(lambda: len(events(receiver)) == 2, 30, "two events")

    told = {
        (event["exception"]["values"][0]["value"], event["tags"]["task_id"]) for event in events(receiver)
    }
    assert told == {("permanent 4085", "task-refused"), ("bad_input", "task-wrong")}
    assert not [secret for secret in SECRETS if secret in posted(receiver)]
