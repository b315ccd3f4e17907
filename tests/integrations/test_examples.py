"""The small apps under `examples/`: each by its framework's own test client, with a real worker."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integrations.environment import EXAMPLES, installed_client, node_modules, python_of, run
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.integrations
PYTEST: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
DJANGO: Final = ("manage.py", "test")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder that goes onto PYTHONPATH."""
    return str(installed_client(tmp_path_factory.mktemp("client")))


@pytest.fixture
def live(sandbox: Sandbox) -> str:
    """Return the address of a Redis with a worker behind it."""
    sandbox.worker()
    return sandbox.url


COMMANDS: Final = {"flask": PYTEST, "fastapi": PYTEST, "django": DJANGO}
WITH_A_WORKER: Final = {"flask": "5 passed", "fastapi": "4 passed", "django": "Ran 6 tests"}
ALONE: Final = {"flask": "3 passed, 2 skipped", "fastapi": "2 passed, 2 skipped", "django": "OK (skipped=1)"}


@pytest.mark.parametrize("app", COMMANDS)
def test_an_app_in_python(client: str, live: str, sandbox: Sandbox, app: str) -> None:
    env = {"PYTHONPATH": client, "REDIS_URL": live}
    said = run([str(python_of("web")), *COMMANDS[app]], cwd=EXAMPLES / app, env=env)
    assert WITH_A_WORKER[app] in said
    assert "skipped" not in said
    called = [call.mobile for call in sandbox.gateway.calls()]
    assert called == ["13800138000"]


@pytest.mark.parametrize("app", COMMANDS)
def test_its_own_tests_need_no_redis_and_call_nobody(client: str, app: str) -> None:
    said = run([str(python_of("web")), *COMMANDS[app]], cwd=EXAMPLES / app, env={"PYTHONPATH": client})
    assert ALONE[app] in said


@pytest.mark.parametrize("app", ["node-celery", "node-ioredis"])
def test_an_app_in_node(live: str, sandbox: Sandbox, tmp_path: Path, app: str) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    folder = node_modules(tmp_path / "examples" / app)
    said = run(["node", "--test", "--test-reporter", "tap"], cwd=folder, env={"REDIS_URL": live})
    assert "# pass 3" in said
    assert [call.mobile for call in sandbox.gateway.calls()] == ["13800138000"]
    assert not (EXAMPLES / app / "package-lock.json").exists()


@pytest.fixture
def django_site(client: str, live: str, tmp_path: Path) -> Iterator[str]:
    """Return the address of Django's own server."""
    python = str(python_of("web"))
    env = {"PYTHONPATH": client, "REDIS_URL": live, "DATABASE": str(tmp_path / "db.sqlite3")}
    run([python, "manage.py", "migrate"], cwd=EXAMPLES / "django", env=env)
    command = [python, "-u", "manage.py", "runserver", "--noreload", "127.0.0.1:0"]
    with subprocess.Popen(
        command, cwd=EXAMPLES / "django", env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("Django did not start")
        yield found[0]
        process.terminate()


BROWSE: Final = Path(__file__).with_name("browse.mjs")


def test_a_person_signs_in_with_a_browser(django_site: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """The phone rings, the code is typed in; a number that cannot be called gets an SMS."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "needs Chromium. Cure: apt-get install chromium"
    shutil.copy(BROWSE, node_modules(tmp_path, "playwright-core"))
    with subprocess.Popen(
        [str(shutil.which("node")), BROWSE.name, chromium, django_site, str(tmp_path)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as browser:
        assert browser.stdin is not None
        assert browser.stdout is not None
        assert browser.stdout.readline() == "Your phone is ringing.\n"
        [call] = sandbox.gateway.calls("13800138000")
        browser.stdin.write(call.code + "\n")
        browser.stdin.close()
        told = browser.stdout.read().splitlines()
    assert browser.returncode == 0
    assert told == [
        "You are signed in.",
        "mobile is not a mainland number: 11 digits that begin with 13 to 19; +86 is allowed",
        "We cannot call you at the moment.",
        "An SMS is on its way.",
    ]
    assert len(list(tmp_path.glob("*.png"))) == 3
