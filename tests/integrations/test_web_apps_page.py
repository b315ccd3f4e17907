"""docs/web-apps.md, carried out by somebody who has nothing but the page, in an empty folder."""

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.integrations.environment import ROOT, installed_client, python_of, run
from tests.support.sandbox import Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for

pytestmark = pytest.mark.integrations
PAGE: Final = (ROOT / "docs" / "web-apps.md").read_text("utf-8")
BLOCKS: Final = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMED: Final = {found[1]: block for block in BLOCKS if (found := re.match(r"# (shop/\w+\.py)", block))}
LIVE: Final = """
import django, time, os, json
django.setup()
from django.test import Client
from django.core.management import call_command
call_command("migrate", verbosity=0)
for mobile in ("13800138000", "19900004030"):
    browser = Client(HTTP_HOST="127.0.0.1")
    assert "queued" in browser.post("/", {"mobile": mobile}).content.decode()
    until = time.monotonic() + 30
    while not (found := browser.get("/status").json())["ended"] and time.monotonic() < until:
        time.sleep(0.05)
    print(found["state"], found["offer"])
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(installed_client(tmp_path_factory.mktemp("client")))


@pytest.fixture
def shop(client: str, tmp_path: Path) -> Path:
    """Do what the page says, up to the tests."""
    python = python_of("web")
    run([str(python), "-m", "django", "startproject", "shop", "."], cwd=tmp_path)
    assert sorted(NAMED) == ["shop/settings.py", "shop/tests.py", "shop/urls.py", "shop/views.py"]
    for name, block in NAMED.items():
        file = tmp_path / name
        before = file.read_text() if "at its end" in block else ""
        file.write_text(f"{before}\n{block}")
    assert "no issues" in run([str(python), "manage.py", "check"], cwd=tmp_path, env={"PYTHONPATH": client})
    return tmp_path


def test_the_page_leads_to_a_test_and_a_call(client: str, shop: Path, sandbox: Sandbox) -> None:
    python, env = str(python_of("web")), {"PYTHONPATH": client}
    assert "Ran 1 test" in run([python, "manage.py", "test", "shop"], cwd=shop, env=env)
    sandbox.worker()
    env |= {"REDIS_URL": sandbox.url, "DJANGO_SETTINGS_MODULE": "shop.settings"}
    assert run([python, "-c", LIVE], cwd=shop, env=env).splitlines() == ["accepted voice", "dead sms"]
    assert [call.mobile for call in sandbox.gateway.calls()] == ["13800138000"]


def test_the_snippet_for_fastapi_sends(client: str, sandbox: Sandbox, tmp_path: Path) -> None:
    [block] = [block for block in BLOCKS if "FastAPI(" in block]
    ask = "from fastapi.testclient import TestClient\nwith TestClient(app) as browser:\n    "
    ask += 'print(browser.post("/call", params={"mobile": "13800138000"}).json())'
    env = {"PYTHONPATH": client, "REDIS_URL": sandbox.url}
    assert run([str(python_of("web")), "-c", f"{block}\n{ask}"], cwd=tmp_path, env=env).strip() == "True"
    sandbox.worker()
    wait_for(lambda: sandbox.gateway.calls("13800138000"), LIMIT_SECONDS, "the call")


def test_the_tests_of_the_page_pass_and_call_nobody(client: str, tmp_path: Path) -> None:
    tests = [
        block for block in BLOCKS if "voicecode" in block and "shop/" not in block and "FastAPI" not in block
    ]
    (tmp_path / "conftest.py").write_text(next(block for block in tests if "autouse" in block))
    (tmp_path / "test_page.py").write_text(next(block for block in tests if "will(4030)" in block))
    said = run([str(python_of("web")), "-m", "pytest", "-q"], cwd=tmp_path, env={"PYTHONPATH": client})
    assert "2 passed" in said


def test_the_fixture_for_stock_celery_does_what_the_page_says(client: str, tmp_path: Path) -> None:
    producing = re.findall(
        r"^```python\n(.*?)^```$",
        (ROOT / "docs" / "producing.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    app, send = [block for block in producing if "voicecode_client" not in block][:2]
    [test] = [block for block in BLOCKS if "voicecode_celery" in block]
    (tmp_path / "test_page.py").write_text(app + send.rsplit("\n\n", 1)[0] + "\n\n" + test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    said = run([*IN_PROCESS, "-q"], cwd=tmp_path, env={"PYTHONPATH": client})
    assert "1 passed" in said


IN_PROCESS: Final = [sys.executable, "-m", "pytest", "-p", "no:xdist"]
"""The project's own environment: it has Celery and pytest."""
