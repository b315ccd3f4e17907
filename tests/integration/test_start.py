"""What a worker refuses to start with: one sentence, an exit status, nothing fetched."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from config import names
from tests.support.sandbox import Sandbox
from tests.support.workers import ROOT, environment, wait_for
from worker.embedded.server import Server, start_server

OWN_APP = """
from celery import Celery
import tasks.voice
app = Celery("shop", broker="redis://127.0.0.1:1/0")
"""
OWN_TASK = """
from worker.app import app
@app.task(name="shop.report")
def report():
    pass
"""


def start(sandbox: Sandbox, *options: str, app: str = "worker", path: Path = ROOT, **env: str) -> str:
    """Start a worker that must not come up, and return what it says."""
    given = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url)
    return ended([sys.executable, "-m", "celery", "-A", app, "worker", *options], {**given, **env}, path)


def ended(command: list[str], env: Mapping[str, str], path: Path, folder: Path = ROOT) -> str:
    with_path = {**env, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        command, cwd=folder, env=with_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-Q", "foo"), "reads the queue voice_codes, not foo: leave out -Q and -X"),
        (
            ("-Q", "voice_codes,foo"),
            "reads the queue voice_codes, not foo: leave out -Q and -X",
        ),
        (("-X", "voice_codes"), "reads the queue voice_codes, not none"),
        (("--autoscale", "10,3"), "leave out --autoscale and set VOICECODE_CONCURRENCY"),
        (("-P", "solo"), "Only the threads pool places calls"),
        (("--purge",), "would lose codes without a trace"),
        (("--beat",), "Nothing here runs on a schedule"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_that_is_not_for_voice_codes_is_refused(
    sandbox: Sandbox, options: tuple[str, ...], says: str
) -> None:
    sandbox.send()
    assert says in start(sandbox, *options)
    assert sandbox.standing() == {names.QUEUE: 1}


def test_tasks_of_ones_own_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """One that takes longer than the visibility time-out would run several times at once."""
    (tmp_path / "shop.py").write_text(OWN_TASK)
    assert "would run shop.report wrongly" in start(sandbox, app="shop", path=tmp_path)
    assert "would run shop.report wrongly" in start(sandbox, "-I", "shop", path=tmp_path)


def test_an_app_of_ones_own_that_imports_the_tasks_is_told_what_to_start(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(OWN_APP)
    said = start(sandbox, app="shop", path=tmp_path)
    assert "shop imports tasks.voice" in said
    assert "`celery -A worker worker`" in said


@pytest.mark.parametrize("how", ["environment", "option"])
def test_a_queue_and_a_ledger_in_two_places_are_refused(sandbox: Sandbox, how: str) -> None:
    """Codes would be called, but retries would wait where nobody reads."""
    other = "redis://:made-up-password@127.0.0.1:1/0"
    if how == "environment":
        said = start(sandbox, CELERY_BROKER_URL=other)
    else:
        given = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url)
        said = ended([sys.executable, "-m", "celery", "-A", "worker", "-b", other, "worker"], given, ROOT)
    assert "queue would be in redis://127.0.0.1:1/0" in said
    assert f"ledger in {sandbox.url}" in said
    assert "made-up-password" not in said


def test_the_same_place_named_twice_is_one(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", sandbox.url)
    sandbox.worker()
    sandbox.wait_state(sandbox.send())


def test_threads_that_cannot_be_started_are_a_reason_not_to_start(sandbox: Sandbox) -> None:
    """Later each of them would cost a code its place."""
    sandbox.send()
    said = start(sandbox, app="tests.support.threadless_app", VOICECODE_THREADLESS="start")
    assert "10 threads cannot be started (can't start new thread): lower VOICECODE_CONCURRENCY" in said
    assert sandbox.standing() == {names.QUEUE: 1}


def test_a_cluster_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    with start_server(data_dir=tmp_path / "data", extra=("--cluster-enabled", "yes")) as server:
        assert "names a Redis Cluster" in start(sandbox, VOICECODE_BROKER_URL=server.url)


def test_a_cluster_that_answers_later_ends_the_worker(sandbox: Sandbox, tmp_path: Path) -> None:
    with start_server(data_dir=tmp_path / "data", extra=("--cluster-enabled", "yes")) as server:
        server.stop()
        worker = sandbox.worker(ready=False, broker_url=server.url)
        worker.wait_ready()
        server.start()
        wait_for(lambda: not worker.running, 30, "the worker to end")
        assert len(worker.lines("redis.unfit")) == 1


def risks(sandbox: Sandbox, server: Server) -> list[str]:
    worker = sandbox.worker(broker_url=server.url)
    found = worker.lines("redis.risky")
    worker.stop()
    return [str(line["cause"]).split(":")[0] for line in found]


def test_what_may_lose_codes_is_warned_of_once(sandbox: Sandbox, tmp_path: Path) -> None:
    with start_server(extra=("--maxmemory-policy", "volatile-lru")) as server:
        assert risks(sandbox, server) == [
            "maxmemory-policy is volatile-lru",
            "neither appendonly nor save is set",
        ]
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("save", "3600 1")
        assert risks(sandbox, server) == []
    with start_server(data_dir=tmp_path / "data") as server:
        assert risks(sandbox, server) == []


@pytest.mark.parametrize("name", ["tasks", "config"])
def test_a_module_of_somebody_else_in_place_of_ours_is_told_in_a_sentence(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('somebody else')")
    given = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url)
    said = ended([sys.executable, "-m", "celery", "-A", "worker", "worker"], given, tmp_path, tmp_path)
    assert f"needs its own package {name}, and Python finds {tmp_path / name}.py first" in said


def test_the_command_says_so_even_where_the_package_worker_is_shadowed(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("")
    program = "import voicecode; voicecode.main()"
    said = ended([sys.executable, "-c", program, "dead", "stats"], dict(os.environ), tmp_path, tmp_path)
    assert said.startswith(
        f"voicecode needs its own package worker, and Python finds {tmp_path / 'worker'}.py"
    )


def test_the_command_works_in_a_folder_with_packages_of_those_names(sandbox: Sandbox, tmp_path: Path) -> None:
    """A web app's own folder often has a `config` or `tasks`."""
    for name in ("config", "tasks"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('somebody else')")
    env = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url)
    env.pop("PYTHONPATH")
    voicecode = Path(sys.executable).with_name("voicecode")
    with subprocess.Popen(
        [voicecode, "worker", "--processes", "1"],
        cwd=tmp_path,
        env=env | {"VOICECODE_HEARTBEAT_FILE": str(tmp_path / "beat")},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            sandbox.wait_state(sandbox.send())
        finally:
            process.terminate()
    assert process.returncode == 0
