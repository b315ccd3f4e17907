"""The gateway that all contestants call: nginx with its echo module if installed, else our own."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from benchmarks.own_gateway import BODY
from benchmarks.processes import Tree

ROOT: Final = Path(__file__).resolve().parents[1]
PATH: Final = "/webservice/voice.php"
ECHO_MODULES: Final = (
    "/usr/lib/nginx/modules/ngx_http_echo_module.so",
    "/usr/share/nginx/modules/ngx_http_echo_module.so",
)
_MOBILE: Final = re.compile(r"mobile=(\d+)")
_START_SECONDS: Final = 5.0

NGINX: Final = """
load_module {module};
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format bench '$msec $request_body';
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  access_log off;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=1000;
    location = {path} {{ echo_read_request_body; {sleep} echo_exec /reply; }}
    location = /reply {{
      internal;
      access_log {folder}/arrivals bench buffer=256k flush=200ms;
      return 200 '{body}';
    }}
    location = /status {{ stub_status; }}
  }}
}}
"""

Arrival = tuple[str, float]
"""Number, and the epoch seconds at which its call was answered."""


class Gateway(Protocol):
    """What the trials ask of a gateway."""

    url: str

    def count(self) -> int:
        """Return the requests so far."""

    def arrivals(self) -> list[Arrival]:
        """Return all of them, in the order in which they came."""


class _Asked:
    """A connection for questions, kept open: polling must cost little."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection("127.0.0.1", port, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", port)
        )

    def ask(self, path: str) -> str:
        try:
            self._connection.request("GET", path)
        except OSError:
            self._connection.close()
            raise
        return self._connection.getresponse().read().decode()


class Nginx(_Asked):
    """nginx, with one worker process."""

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(port)
        self.url = f"http://127.0.0.1:{port}{PATH}"
        self._log = log
        self._questions = 0

    def count(self) -> int:
        """Return the requests so far, those that wait for their reply included."""
        requests = int(self.ask("/status").split()[9])
        self._questions += 1
        return requests - self._questions

    def arrivals(self) -> list[Arrival]:
        """Return those that nginx has written down, which takes it a moment."""
        time.sleep(0.5)
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        found = [(_MOBILE.search(line), float(line.split(" ", 1)[0])) for line in lines]
        return [(mobile[1] if mobile else "-", moment) for mobile, moment in found]


class Own(_Asked):
    """Ours."""

    def __init__(self, port: int, latency: float, context: ssl.SSLContext | None = None) -> None:
        super().__init__(port, context)
        self._latency = latency
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{port}{PATH}"

    def count(self) -> int:
        """Return the requests so far."""
        return int(self.ask("/count"))

    def peak(self) -> int:
        """Return the most calls that were in flight at one time."""
        return int(self.ask("/peak"))

    def arrivals(self) -> list[Arrival]:
        """Return all of them."""
        lines = (line.split() for line in self.ask("/arrivals").splitlines())
        return [(mobile, float(moment) + self._latency) for moment, mobile in lines]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def nginx_program() -> tuple[str, str] | None:
    """Return nginx and its echo module, where both are there."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    module = next((name for name in ECHO_MODULES if Path(name).exists()), None)
    return (program, module) if program and module else None


@contextlib.contextmanager
def fast(latency: float) -> Iterator[Gateway]:
    """Start the fastest gateway that is there."""
    found = nginx_program()
    if found is None:
        with own(latency) as gateway:
            yield gateway
        return
    program, module = found
    with tempfile.TemporaryDirectory(prefix="voicecode-bench-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        sleep = f"echo_sleep {latency};" if latency else ""
        text = NGINX.format(
            module=module, folder=folder, port=port, path=PATH, sleep=sleep, body=BODY.decode()
        )
        (folder / "nginx.conf").write_text(text)
        command = [program, "-p", name, "-e", f"{name}/error.log", "-c", f"{name}/nginx.conf"]
        with Tree(command, log=folder / "output", env=os.environ, cwd=folder) as tree:
            yield _ready(Nginx(port, folder / "arrivals"), tree)


def _ready(gateway: Nginx, tree: Tree) -> Nginx:
    end = time.monotonic() + _START_SECONDS
    while tree.running:
        try:
            gateway.count()
        except OSError:
            if time.monotonic() > end:
                break
            time.sleep(0.02)
        else:
            return gateway
    raise RuntimeError(tree.log.read_text(errors="replace"))


@contextlib.contextmanager
def own(latency: float, *, cert: Path | None = None, context: ssl.SSLContext | None = None) -> Iterator[Own]:
    """Start ours; over TLS with a file of key and certificate, and a context that trusts it."""
    command = [sys.executable, "-m", "benchmarks.own_gateway", "--latency", str(latency)]
    command += ["--cert", str(cert)] if cert else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            yield Own(int(process.stdout.readline()), latency, context)
        finally:
            process.terminate()
