"""A master, a replica and three sentinels, all on 127.0.0.1: for tests of failover."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

import redis

from tests.support.workers import LIMIT_SECONDS
from worker.embedded import die_with_parent
from worker.embedded.server import Server, find_binary, start_server

MASTER: Final = "mymaster"
_CONFIG: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 3000
"""


class Sentinels:
    """Three sentinels: they promote the replica once the master is gone for a second.

    `password`: what they ask their clients for.
    """

    def __init__(self, folder: Path, *, password: str | None = None) -> None:
        self._password = password
        self.nodes: list[Server] = []
        self._watchers: list[tuple[subprocess.Popen[bytes], int]] = []
        self._folder = folder

    def start(self) -> Self:
        """Start all five and wait until they know each other."""
        self.nodes.append(start_server(data_dir=self._folder / "node1"))
        follow = ("--replicaof", "127.0.0.1", str(self.nodes[0].port), "--repl-diskless-sync-delay", "0")
        self.nodes.append(start_server(data_dir=self._folder / "node2", extra=follow))
        for number in range(3):
            self._watch(number)
        self._wait(self._complete, "the sentinels to know each other")
        return self

    @property
    def url(self) -> str:
        """Celery's way of naming them."""
        return ";".join(f"sentinel://127.0.0.1:{port}/0" for _, port in self._watchers)

    @property
    def master(self) -> Server:
        """The node that the sentinels name."""
        port = int(self._state()["port"])
        return next(node for node in self.nodes if node.port == port)

    def demote(self) -> None:
        """Have them change master and replica while both are up."""
        with self._ask(0) as client:
            client.execute_command("SENTINEL", "FAILOVER", MASTER)

    def wait_master(self, other_than: Server, seconds: float = LIMIT_SECONDS) -> Server:
        """Wait until every sentinel names another node, which takes writes; return it."""
        self._wait(
            lambda: self._agreed(other_than) and self._writable(self.master), "another master", seconds
        )
        return self.master

    def close(self) -> None:
        """End all of them."""
        for watcher, _ in self._watchers:
            if watcher.stdin:
                watcher.stdin.close()
            watcher.wait(die_with_parent.GRACE_SECONDS + 5)
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _watch(self, number: int) -> None:
        folder = self._folder / f"sentinel{number}"
        folder.mkdir(parents=True)
        with start_server() as probe:
            port = probe.port  # free a moment ago
        config = folder / "sentinel.conf"
        words = _CONFIG.format(port=port, folder=folder, name=MASTER, master=self.nodes[0].port)
        config.write_text(words + (f"requirepass {self._password}\n" if self._password else ""))
        with (folder / "log").open("wb") as log:
            command = [
                sys.executable,
                "-I",
                "-S",
                die_with_parent.__file__,
                find_binary(),
                str(config),
                "--sentinel",
            ]
            watcher = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        self._watchers.append((watcher, port))

    def _ask(self, number: int) -> Any:
        return redis.Redis(
            port=self._watchers[number][1],
            password=self._password,
            socket_timeout=1,
            socket_connect_timeout=1,
            decode_responses=True,
        )

    def _state(self, number: int = 0) -> dict[str, Any]:
        with self._ask(number) as client:
            # `sentinel_master` hands its parser an argument that this one does not take in redis-py
            # 6.4.
            return dict(client.execute_command("SENTINEL MASTER", MASTER))

    def _complete(self) -> bool:
        states = [self._state(number) for number in range(3)]
        return all(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2 for state in states)

    def _agreed(self, other_than: Server) -> bool:
        return all(int(self._state(number)["port"]) != other_than.port for number in range(3))

    def _writable(self, node: Server) -> bool:
        with node.client(socket_timeout=1) as client:
            role: Any = client.role()
            return bool(role[0] == b"master")

    def _wait(self, condition: Any, what: str, seconds: float = LIMIT_SECONDS) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(redis.RedisError, OSError, KeyError):
                if condition():
                    return
            time.sleep(0.05)
        message = f"waited {seconds:g} s for {what}"
        raise AssertionError(message)
