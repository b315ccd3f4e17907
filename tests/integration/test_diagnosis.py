"""What somebody on call sees: the fleet on one screen, and what would fail, with its cure."""

import datetime as dt
import email.utils
import http.server
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from click.testing import CliRunner, Result

from config import names
from config.settings import Settings
from tests.support.command_line import at_terminal
from tests.support.dead_letters import dead_letter, load
from tests.support.ledger_driver import LedgerDriver
from tests.support.simulator import start_simulator
from tests.support.workers import enqueue, environment, stock_producer
from worker.cli import voicecode
from worker.diagnosis import Level, gateway_checks, redis_checks
from worker.diagnosis.overview import RedisState
from worker.embedded.server import Server
from worker.simulator.process import RunningSimulator

SENDING = names.TAG + ":sending"


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def env(server: Server, simulator: RunningSimulator) -> dict[str, str]:
    simulator.client.reset()
    return environment(broker_url=server.url, gateway_url=simulator.url)


def run(env: dict[str, str], *words: str) -> Result:
    blank: dict[str, str | None] = dict.fromkeys(os.environ, None)
    return CliRunner().invoke(voicecode, words, env={**blank, **env}, prog_name="voicecode")


def findings(env: dict[str, str]) -> dict[str, dict[str, str]]:
    return {line["check"]: line for line in map(json.loads, run(env, "check", "--json").stdout.splitlines())}


def overview(env: dict[str, str]) -> dict[str, Any]:
    result = run(env, "status", "--json")
    assert result.exit_code == 0
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_the_fleet_is_one_screen(
    env: dict[str, str], server: Server, redis_client: Any, simulator: RunningSimulator
) -> None:
    driver = LedgerDriver(server.url)
    for number in range(3):
        driver.claim(f"calling{number}")
    for number in range(2):
        driver.retry(driver.claim(f"due{number}"), 0.001)
    driver.retry(driver.claim("waiting"), 200)
    now = float(redis_client.time()[0])
    load(redis_client, [dead_letter(n, died_at=now - 9, expires_at=now + 600) for n in range(4)])
    for number in range(2):
        enqueue(stock_producer(server.url), "13800138000", "0042", key=f"q{number}", expires_at=now + 120)
    redis_client.zadd(names.UNACKED_INDEX, {"tag": now - 5})
    redis_client.zadd(names.WORKERS, {"web-1.7.abcd": now - 2, "web-2.9.abcd": now - 60})
    told = overview(env)
    assert told["sending"]["state"] == "sending"
    assert told["queue"]["count"] == 2
    assert told["oldest_expires_in"] == pytest.approx(120, abs=5)
    assert told["unacked"]["count"] == 1
    assert told["unacked"]["oldest_seconds"] == pytest.approx(5, abs=3)
    assert (told["calling"]["count"], told["due"]["count"], told["waiting"]) == (3, 2, 3)
    assert 0 <= told["calling"]["oldest_seconds"] < 10
    assert told["dead"]["by_reason"] == {"permanent": 4}
    assert [worker["name"] for worker in told["workers"]] == ["web-1.7.abcd", "web-2.9.abcd"]
    assert (told["redis"]["policy"], told["redis"]["role"]) == ("noeviction", "master")
    _, screen = at_terminal(env, "status")
    assert len(screen.splitlines()) <= 24
    for line in (
        "sending        sending",
        "queue          2, the oldest expires in 1",
        "calling        3, the oldest for",
        "waiting        3 for a retry",
        "failure queue  4 (permanent 4), 4 not expired",
        "web-2.9.abcd",
    ):
        assert line in screen
    assert simulator.client.calls() == []
    driver.close()


@pytest.mark.parametrize("item", ["", "hello", "[]", '{"body": 7, "properties": {}}', "[" * 9000])
def test_whatever_lies_on_the_queue_the_screen_comes(
    env: dict[str, str], redis_client: Any, item: str
) -> None:
    redis_client.rpush(names.QUEUE, item)
    told = overview(env)
    assert (told["queue"]["count"], told["oldest_expires_in"]) == (1, None)


def test_a_stopped_fleet_says_why_and_since_when(env: dict[str, str], redis_client: Any) -> None:
    state = {"state": "stopped", "row": "4051", "since": "1800000000.5", "by": "web-1", "note": "\x1b[2J"}
    redis_client.hset(SENDING, mapping=state)
    assert overview(env)["sending"]["row"] == "4051"
    screen = run(env, "status").stdout
    assert "sending        stopped 4051 since 20" in screen
    assert "\x1b" not in screen
    found = findings(env)["sending"]
    assert (found["level"], found["text"].split("\x1b")[0]) == ("fail", "stopped: 4051 ")
    assert "voicecode account resume" in found["cure"]


def celery_message(queue: str) -> Callable[[Any, str], None]:
    def send(_client: Any, url: str) -> None:
        stock_producer(url).send_task(names.SEND_TASK, args=["13800138000", "0042"], queue=queue)

    return send


BROKEN: dict[str, tuple[str, Level, Callable[[Any, str], Any], str]] = {
    "a producer forgot queue=": ("queue celery", Level.FAIL, celery_message("celery"), "1 send_voice_code"),
    "another separator": (
        "lists beside",
        Level.FAIL,
        celery_message(f"{names.QUEUE}|5"),
        "1 in 'voice_codes|5'",
    ),
    "an evicting policy": (
        "redis eviction",
        Level.FAIL,
        lambda client, _: client.config_set("maxmemory-policy", "volatile-lru"),
        "throw away records",
    ),
    "nearly full": (
        "redis memory",
        Level.WARN,
        lambda client, _: client.config_set("maxmemory", int(client.info()["used_memory"] * 1.12)),
        "MB used of",
    ),
    "no persistence": (
        "redis persistence",
        Level.FAIL,
        lambda client, _: client.config_set("save", ""),
        "loses every code",
    ),
    "snapshots only": (
        "redis persistence",
        Level.WARN,
        lambda client, _: client.config_set("save", "3600 1"),
        "snapshots only",
    ),
    "no worker": ("workers", Level.FAIL, lambda *_: None, "no code is called"),
    "a late backlog": (
        "backlog",
        Level.WARN,
        lambda client, _: client.zadd(names.DUE, {"k": time.time() - 100}),
        "the oldest for 1",
    ),
}


@pytest.mark.parametrize("night", BROKEN)
def test_what_would_fail_at_night_is_found_with_its_cure(
    env: dict[str, str], server: Server, redis_client: Any, night: str
) -> None:
    check, level, spoil, text = BROKEN[night]
    before = {name: redis_client.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy", "save")}
    try:
        spoil(redis_client, server.url)
        found = findings(env)[check]
    finally:
        for name, value in before.items():
            redis_client.config_set(name, value)
    assert found["level"] == level
    assert text in found["text"]
    assert found["cure"]


def test_a_check_changes_nothing_and_places_no_call(
    env: dict[str, str], redis_client: Any, simulator: RunningSimulator
) -> None:
    redis_client.set("of another application", "1")
    run(env, "check")
    run(env, "status")
    assert redis_client.keys("*") == ["of another application"]
    assert simulator.client.calls() == []


def test_the_account_is_asked_for_its_balance(env: dict[str, str], simulator: RunningSimulator) -> None:
    assert findings(env)["account"]["level"] == "ok"
    simulator.client.balance(99)
    assert findings(env)["account"]["level"] == "warn"
    simulator.client.balance(0)
    assert findings(env)["account"]["text"] == "no calls left"
    simulator.client.account("4050")
    assert findings(env)["account"]["cure"] == "see docs/operating.md#account-frozen"
    wrong = run({**env, "VOICECODE_APIKEY": "wrong-and-secret"}, "check")
    assert wrong.exit_code == 1
    assert "wrong-and-secret" not in wrong.output


def test_a_gateway_out_of_reach_is_told(env: dict[str, str]) -> None:
    away = findings({**env, "VOICECODE_GATEWAY_URL": "http://127.0.0.1:9/voice.php"})
    assert (away["gateway"]["level"], away["account"]["level"]) == ("fail", "fail")
    assert away["gateway"]["cure"].endswith("#gateway-unreachable")


def test_a_gateway_without_tls_is_told_with_the_way_to_go_on(env: dict[str, str]) -> None:
    plain = findings(env)["gateway"]
    assert plain["level"] == "warn"
    assert plain["cure"].startswith("https does not answer there (tls_failed), so keep to the signature")
    secured = {**env, "VOICECODE_GATEWAY_URL": env["VOICECODE_GATEWAY_URL"].replace("http", "https")}
    tried = findings(secured)["gateway"]
    assert tried["level"] == "fail"
    assert tried["cure"].endswith("docs/operating.md#a-gateway-without-tls")
    assert plain["cure"].endswith("docs/operating.md#a-gateway-without-tls")


def test_https_that_would_answer_is_told_to_those_who_use_http(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, files = trustme.CA(), {name: tmp_path / name for name in ("ca", "cert", "key")}
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(files["ca"]))
    issued.cert_chain_pems[0].write_to_path(str(files["cert"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    options = ["--tls-cert", str(files["cert"]), "--tls-key", str(files["key"])]
    with start_simulator(extra=options) as simulator:
        address = simulator.url.partition("//")[2]
        given = {**env, "VOICECODE_CA_BUNDLE": str(files["ca"]), "VOICECODE_GATEWAY_URL": f"http://{address}"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        told = gateway_checks._over_tls(settings)
    assert told == f"https answers there as well: set VOICECODE_GATEWAY_URL=https://{address}"


class Dated(http.server.BaseHTTPRequestHandler):
    """A server like any: it says what time it is."""

    def do_HEAD(self) -> None:
        self.send_response(405)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the true time, whatever the test makes of `time.time`."""
        del timestamp
        return email.utils.format_datetime(dt.datetime.now(dt.UTC), usegmt=True)

    def log_message(self, *_: Any) -> None: ...


def test_a_wrong_clock_is_told(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    with http.server.HTTPServer(("127.0.0.1", 0), Dated) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/voice.php"
        dated = {**env, "VOICECODE_GATEWAY_URL": url, "VOICECODE_DYNAMIC_PASSWORD": "true"}
        right = findings(dated)
        monkeypatch.setattr("worker.diagnosis.gateway_checks.time.time", lambda: real() + 100)
        skewed = findings(dated)
        server.shutdown()
    assert (right["gateway"]["level"], right["clock, redis"]["level"]) == ("warn", "ok")
    assert "http://" in right["gateway"]["text"]
    assert skewed["gateway"]["level"] == "fail"  # the dynamic password holds the time
    assert re.search(r"clock is 10[01] s ahead of the gateway's", skewed["gateway"]["text"])
    assert "clock is 100.0 s ahead of Redis'" in skewed["clock, redis"]["text"]


def test_exit_codes_tell_a_monitor_what_failed(
    env: dict[str, str], redis_client: Any, simulator: RunningSimulator
) -> None:
    """0 nothing fails, 1 something, 2 the settings, 4 Redis."""
    redis_client.zadd(names.WORKERS, {"w": float(redis_client.time()[0])})
    before = redis_client.config_get("save")["save"]
    redis_client.config_set("save", "3600 1")
    try:
        assert run(env, "check").exit_code == 0
        simulator.client.balance(0)
        assert run(env, "check").exit_code == 1
    finally:
        redis_client.config_set("save", before)
    wrong = run({**env, "VOICECODE_CONCURRENCY": "many"}, "check")
    assert (wrong.exit_code, "VOICECODE_CONCURRENCY" in wrong.stdout) == (2, True)
    nowhere = run({**env, "VOICECODE_BROKER_URL": "redis://:hush@127.0.0.1:1/0"}, "check")
    assert (nowhere.exit_code, "account" in nowhere.stdout, "hush" in nowhere.output) == (4, True, False)
    assert run({**env, "VOICECODE_BROKER_URL": "redis://127.0.0.1:1/0"}, "status").exit_code == 4


@pytest.mark.parametrize(
    ("version", "level"),
    [("6.2.0", Level.OK), ("8.1.0", Level.OK), ("6.0.16", Level.FAIL), ("5.0", Level.FAIL)],
)
def test_a_redis_that_is_too_old_is_told(version: str, level: Level) -> None:
    state = RedisState(
        version=version, role="master", used_memory=1, max_memory=0, policy="noeviction", persistence="aof"
    )
    assert redis_checks._version(state).level is level


def test_every_script_is_tried(env: dict[str, str], redis_client: redis.Redis) -> None:
    assert {"ledger/claim", "failure_queue/replay", "transport/fetch"} <= set(redis_checks.every_script())
    connection: Any = redis_client
    connection.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-script|load")
    try:
        url = env["VOICECODE_BROKER_URL"].replace("redis://", "redis://reader:pw@")
        found = findings({**env, "VOICECODE_BROKER_URL": url})["scripts"]
    finally:
        connection.execute_command("ACL", "DELUSER", "reader")
    assert found["level"] == "fail"
    assert "ledger/claim" in found["text"]
