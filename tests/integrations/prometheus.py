"""A real Prometheus: the one on PATH, else Debian's package, unpacked into a folder."""

import contextlib
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

from config.settings import Settings
from tests.support.workers import wait_for
from worker.metrics.exporter import serve

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
RULES: Final = DEPLOY / "prometheus" / "voicecode.rules.yml"


def found_programs(folder: Path) -> Path:
    """Return the folder that has `prometheus` and `promtool`: `folder`, if they are not on PATH."""
    found = shutil.which("prometheus")
    if found and shutil.which("promtool"):
        return Path(found).parent
    run("apt-get", "download", "prometheus", cwd=folder)
    (package,) = folder.glob("*.deb")
    run("dpkg-deb", "-x", str(package), str(folder), cwd=folder)
    return folder / "usr" / "bin"


def run(*command: str, cwd: Path, given: str | None = None) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def scraping(programs: Path, redis_url: str, folder: Path) -> Iterator["Prometheus"]:
    """Run one with our configuration and rules, on an exporter of this Redis, each second."""
    server, thread = serve(Settings(broker_url=redis_url), "127.0.0.1", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text().replace("15s", "1s")
    (folder / "prometheus.yml").write_text(text.replace("exporter:9877", f"127.0.0.1:{server.server_port}"))
    shutil.copy(RULES, folder)
    command = [str(programs / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        prometheus = Prometheus(port, server.server_port)
        try:
            wait_for(lambda: prometheus.value("voicecode_redis_up") == 1, 60, "a scrape")
            yield prometheus
        finally:
            process.terminate()
            server.shutdown()
            server.server_close()
            thread.join()


class Prometheus:
    """Asks it. `exporter_port`: of what it scrapes."""

    def __init__(self, port: int, exporter_port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/v1"
        self._metrics = f"http://127.0.0.1:{exporter_port}/metrics"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now: series with `metric` and `value`."""
        return self._asked("query", query=expression)

    def value(self, expression: str) -> float | None:
        """Return the value of its first series."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def course(self, expression: str, start: float, end: float) -> list[tuple[float, float]]:
        """Return the first series' values second by second. Times are epoch seconds."""
        found = self._asked("query_range", query=expression, start=start, end=end, step=1)
        return [(float(at), float(value)) for at, value in found[0]["values"]] if found else []

    def metrics(self) -> str:
        """Return the exporter's page, as `curl /metrics` shows it."""
        with urllib.request.urlopen(self._metrics) as reply:  # noqa: S310 - our own
            return str(reply.read().decode())

    def _asked(self, what: str, **parameters: Any) -> list[dict[str, Any]]:
        try:
            asked = f"{self._address}/{what}?{urllib.parse.urlencode(parameters)}"
            with urllib.request.urlopen(asked) as reply:  # noqa: S310 - our own
                found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
        except OSError:
            return []
        return found


def expressions(title: str | None = None) -> list[str]:
    """Return the dashboard's queries; of one panel, if a title is given."""
    board = json.loads((DEPLOY / "grafana" / "voicecode.json").read_text())
    panels = [panel for panel in board["panels"] if title in {None, panel["title"]}]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alerts() -> dict[str, str]:
    """Return the expression of each rule by its name."""
    return dict(re.findall(r"alert: (\w+)\n +expr: >-\n +(.*)", RULES.read_text()))
