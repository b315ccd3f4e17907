"""The rules and the dashboard on a real Prometheus, fed by a real exporter and a real worker.

Prometheus is the one on PATH, else Debian's package, unpacked into a folder of the tests.
"""

import json
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from config.settings import Settings
from tests.support.sandbox import Sandbox
from tests.support.workers import wait_for
from worker.metrics.exporter import serve

pytestmark = pytest.mark.integrations
ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
RULES: Final = DEPLOY / "prometheus" / "voicecode.rules.yml"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that has `prometheus` and `promtool`."""
    found = shutil.which("prometheus")
    if found and shutil.which("promtool"):
        return Path(found).parent
    folder = tmp_path_factory.mktemp("prometheus")
    run("apt-get", "download", "prometheus", cwd=folder)
    (package,) = folder.glob("*.deb")
    run("dpkg-deb", "-x", str(package), str(folder), cwd=folder)
    return folder / "usr" / "bin"


def run(*command: str, cwd: Path, given: str | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_page_when_they_should(programs: Path, tmp_path: Path) -> None:
    for file in (RULES, Path(__file__).with_name("rules.test.yml")):
        shutil.copy(file, tmp_path)
    shutil.copy(DEPLOY / "prometheus" / "prometheus.yml", tmp_path)
    run(str(programs / "promtool"), "test", "rules", "rules.test.yml", cwd=tmp_path)
    run(str(programs / "promtool"), "check", "config", "prometheus.yml", cwd=tmp_path)


@pytest.fixture
def prometheus(programs: Path, sandbox: Sandbox, tmp_path: Path) -> Iterator[str]:
    """Return the address of a Prometheus that scrapes an exporter of the sandbox each second."""
    server, thread = serve(Settings(broker_url=sandbox.url), "127.0.0.1", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text().replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text.replace("exporter:9877", f"127.0.0.1:{server.server_port}"))
    shutil.copy(RULES, tmp_path)
    command = [str(programs / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: value(address, "voicecode_redis_up") == 1, 60, "a scrape")
        yield address
        process.terminate()
    server.shutdown()
    server.server_close()
    thread.join()


def query(address: str, expression: str) -> list[dict[str, Any]]:
    try:
        asked = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(asked) as reply:  # noqa: S310 - our own
            answer = json.load(reply)
    except OSError:
        return []
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def value(address: str, expression: str) -> float | None:
    found = query(address, expression)
    return float(found[0]["value"][1]) if found else None


def expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana" / "voicecode.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_dashboard_tells_the_story_of_a_night(prometheus: str, sandbox: Sandbox) -> None:
    """Every query answers; while the account is empty the first rule holds, and then no more."""
    sandbox.worker(stop_sending=True, balance_warn="100")
    sandbox.wait_state(sandbox.send_all(20))
    stopped = rule("NotSending")
    sandbox.gateway.balance(0)
    keys = sandbox.send_all(20)
    wait_for(lambda: query(prometheus, stopped), 60, "the rule of a stopped fleet")
    assert value(prometheus, 'voicecode_sending_stopped_by{row="4051"}') == 1
    sandbox.gateway.top_up(1000)
    sandbox.wait_state(keys)
    sandbox.send("13700000001", code="12x")
    wait_for(lambda: not query(prometheus, stopped), 60, "its end")
    wait_for(lambda: value(prometheus, "voicecode_codes_accepted_total") == 40, 60, "all acceptances")
    wait_for(lambda: query(prometheus, "voicecode_balance_calls"), 60, "the balance")
    wait_for(lambda: query(prometheus, "voicecode_dead_letters"), 60, "the dead letter")

    assert [expression for expression in expressions() if not query(prometheus, expression)] == []


def rule(name: str) -> str:
    """Return a rule's expression."""
    found = re.search(rf"alert: Voicecode{name}\n +expr: >-\n +(.*)", RULES.read_text())
    assert found is not None
    return found[1]
