"""docs/producing.md is executed as it stands, save for the address of Redis."""

import functools
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError

from tests.support.simulator import start_simulator
from tests.support.workers import LIMIT_SECONDS, ROOT, RunningWorker, environment, wait_for
from worker.embedded.server import Server
from worker.simulator.client import SimulatorClient

PAGE = (ROOT / "docs" / "producing.md").read_text("utf-8")
ADDRESS = "redis://127.0.0.1:6379/0"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def snippets() -> list[str]:
    """Return the page's Python but that of the client, which is tried by itself."""
    return [source for source in blocks("python") if "voicecode_client" not in source]


def execute(sources: list[str], address: str) -> dict[str, Any]:
    """Run snippets one after the other in one namespace, as a reader would."""
    namespace: dict[str, Any] = {}
    for number, source in enumerate(sources):
        code = compile(source.replace(ADDRESS, address), f"producing.md, snippet {number + 1}", "exec")
        exec(code, namespace)  # noqa: S102 - our own page
    return namespace


def is_accepted(namespace: dict[str, Any], key: str) -> bool:
    return bool(namespace["status"](key, 0) == ("accepted", None, "2"))


@pytest.fixture
def gateway(server: Server, tmp_path: Path) -> Iterator[SimulatorClient]:
    """Put a worker and a simulator behind `server`; give the simulator's control."""
    with start_simulator() as simulator:
        env = environment(broker_url=server.url, gateway_url=simulator.url)
        with RunningWorker(tmp_path / "worker.log", env) as worker:
            worker.wait_ready()
            yield simulator.client


def test_every_snippet_does_what_the_page_says(server: Server, gateway: SimulatorClient) -> None:
    """Each of its codes is accepted, called once, and has the status that the page reads."""
    namespace = execute(snippets(), server.url)
    for key in ("login:7f3a9c:1", "login:7f3a9c:2"):
        wait_for(functools.partial(is_accepted, namespace, key), LIMIT_SECONDS, f"{key} to be accepted")
    assert [call.code for call in gateway.calls("13800138000")] == ["0042", "0042"]
    namespace["ledger"].close()


def test_the_snippet_of_the_client_does_what_the_page_says(
    server: Server, gateway: SimulatorClient, capsys: pytest.CaptureFixture[str]
) -> None:
    [source] = [source for source in blocks("python") if "voicecode_client" in source]
    namespace = execute([source], server.url)
    assert capsys.readouterr().out.startswith("your phone is about to ring\n")
    client = namespace["client"]
    wait_for(lambda: client.status("signup:7f3a9c:1").state == "accepted", LIMIT_SECONDS, "the call")
    assert len(gateway.calls("13800138000")) == 1
    client.close()


def test_the_snippets_give_away_neither_number_nor_code_in_a_header(
    server: Server, redis_client: redis.Redis
) -> None:
    execute(snippets()[:2], server.url)
    item = str(redis_client.lindex("voice_codes", 0))
    assert "[redacted]" in item
    assert "13800138000" not in item


def test_a_forgotten_queue_does_no_harm_with_the_routes_of_the_page(
    server: Server, redis_client: redis.Redis
) -> None:
    app = execute(snippets()[:1], server.url)["celery"]
    app.send_task("send_voice_code", args=["13800138000", "0042"], kwargs={"key": "k"})
    app.send_task("cancel_voice_code", kwargs={"key": "k"})
    assert redis_client.llen("voice_codes") == 2
    assert not redis_client.exists("celery")


def test_codes_of_stock_celery_can_be_recorded_in_tests(
    server: Server, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = execute(snippets(), server.url)
    redis_client.delete("voice_codes")
    sent = namespace["record_codes"](monkeypatch)
    namespace["call_with_code"]("13800138000", "0042", key="k")
    assert [(code["task"], code["args"], code["key"]) for code in sent] == [
        ("send_voice_code", ["13800138000", "0042"], "k")
    ]
    assert not redis_client.exists("voice_codes")


def test_the_user_of_the_page_cannot_forget_the_queue(server: Server, redis_client: redis.Redis) -> None:
    """The guard against silent mistakes: each of them raises."""
    [rule] = [line for line in blocks("redis") if "SETUSER web " in line]
    run: Any = redis_client.execute_command
    run(*rule.split())
    address = server.url.replace("//", "//web:CHANGE-ME@")
    try:
        for options in ({}, {"global_keyprefix": "shop:"}):
            app = execute(snippets()[:1], address)["celery"]
            app.conf.broker_transport_options.update(options)
            if not options:
                app.conf.task_routes = {}
            with app, pytest.raises((NoPermissionError, OperationalError)):
                app.send_task("send_voice_code", args=["13800138000", "0042"])
    finally:
        run("ACL", "DELUSER", "web")


def test_the_snippet_of_the_readme_enqueues_a_code(server: Server, redis_client: redis.Redis) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    execute(re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL), server.url)
    item = json.loads(str(redis_client.lindex("voice_codes", 0)))
    assert item["headers"]["task"] == "send_voice_code"


def test_a_code_that_nobody_has_seen_is_queued(server: Server) -> None:
    namespace = execute(snippets(), server.url)
    assert namespace["status"]("never-seen", time.time() + 9) == ("queued", None, None)
    assert namespace["status"]("never-seen", time.time() - 1) == ("unknown", None, None)
    namespace["ledger"].close()


def test_a_publish_fails_at_once_where_redis_is_down() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        started = time.monotonic()
        with pytest.raises(Exception, match="refused") as caught:
            execute(snippets()[:2], address)
    assert type(caught.value).__name__ == "OperationalError"
    assert time.monotonic() - started < 1


def test_a_publish_fails_within_seconds_where_redis_hangs(server: Server) -> None:
    """The page's options, and nothing else, keep a web request from waiting for ever."""
    namespace = execute(snippets()[:3], server.url)
    try:
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(namespace["OperationalError"]):
            namespace["call_with_code"]("13800138000", "0042", "hangs")
        assert time.monotonic() - started < 4
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_the_redis_user_of_the_page_may_send_and_look_and_nothing_else(
    server: Server, redis_client: redis.Redis
) -> None:
    [rule] = [line for line in blocks("redis") if "SETUSER web " in line]
    if redis_client.info("server")["redis_version"].startswith("6."):
        rule = rule.replace("%R~", "~")  # as the page says
    run: Any = redis_client.execute_command
    run(*rule.replace("CHANGE-ME", "made-up").split())
    redis_client.hset("{voice_codes}:code:k", "state", "accepted")
    address = server.url.replace("//", "//web:made-up@")
    try:
        namespace = execute(snippets(), address)
        assert redis_client.llen("voice_codes") == 4
        assert namespace["status"]("k", 0) == ("accepted", None, None)
        for command in (
            "rpop voice_codes",
            "lrange voice_codes 0 -1",
            "hset {voice_codes}:code:k state x",
            "keys *",
        ):
            with pytest.raises(NoPermissionError):
                namespace["ledger"].execute_command(*command.split())
        namespace["ledger"].close()
    finally:
        run("ACL", "DELUSER", "web")
