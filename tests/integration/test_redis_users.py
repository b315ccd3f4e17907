"""The Redis users of docs/security.md: each may do what its role needs, and nothing beside."""

import base64
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from click.testing import CliRunner
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from config import names
from config.settings import Settings, load
from tests.integration.test_digests import dumped
from tests.support.console import running as console_running
from tests.support.redis_versions import EACH_VERSION, program_of
from tests.support.sandbox import CODE, MOBILE, Sandbox
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.cli import voicecode
from worker.embedded.server import Server, start_server
from worker.metrics.snapshot import Source
from worker.sealing import seals_of
from worker.simulator.process import RunningSimulator
from worker.store.digests import Digests

PAGE: Final = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
PRODUCING: Final = (Path(__file__).parents[2] / "docs" / "producing.md").read_text("utf-8")
LINES: Final = {
    line.split()[2]: line for line in re.findall(r"^```redis\n(ACL SETUSER .*)\n```$", PAGE, re.MULTILINE)
}
SECRET: Final = "a key of the digests in these tests"
SEAL_KEYS: Final = ",".join(
    f"{name}:{base64.urlsafe_b64encode(name.encode() * 5)[:43].decode()}" for name in ("2026-11", "2025-11")
)
EVERYBODY_IS_REFUSED: Final = [
    ("FLUSHALL",),
    ("CONFIG", "GET", "requirepass"),
    ("KEYS", "*"),
    ("SHUTDOWN", "NOSAVE"),
    ("ACL", "LIST"),
    ("REPLICAOF", "NO", "ONE"),
    ("SCRIPT", "FLUSH"),
    ("MONITOR",),
    ("GET", "of-another-app"),
    ("SET", "of-another-app", "1"),
    ("PUBLISH", "channel", "x"),
]
WRITES: Final = [
    ("LPUSH", names.QUEUE, "x"),
    ("DEL", names.DEAD),
    ("HSET", f"{names.RECORD_PREFIX}k", "state", "accepted"),
    ("XADD", names.AUDIT, "*", "a", "b"),
    ("EVAL", "return redis.call('DEL', KEYS[1])", "1", names.DEAD),
]
READS_OF_CODES: Final = [
    ("LRANGE", names.QUEUE, "0", "-1"),
    ("HGETALL", names.UNACKED),
    ("HGETALL", f"{names.RECORD_PREFIX}k"),
    ("GET", names.DIGEST_KEY),
]
REFUSED: Final[dict[str, list[tuple[str, ...]]]] = {
    "web": [
        *READS_OF_CODES[:2],
        ("GET", names.DIGEST_KEY),
        ("LPUSH", "celery", "x"),
        ("RPOP", names.QUEUE),
        ("DEL", names.DEAD),
        ("HSET", f"{names.RECORD_PREFIX}k", "state", "accepted"),
    ],
    "worker": [("LPUSH", "celery", "x")],
    "reader": [*WRITES, ("HGETALL", names.CONSOLE_PREFIX + "users")],
    "operator": [],
    "console": [],
    "metrics": [*WRITES, *READS_OF_CODES],
}


@pytest.fixture(scope="module", params=EACH_VERSION)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Start a server with all users of the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_SERVER", program_of(request.param))
        with start_server() as server:
            with server.client() as client:
                for line in LINES.values():
                    client.execute_command(*adapted(line, request.param).split())
            yield server


def adapted(line: str, version: str) -> str:
    """Return a line as the page tells to write it for a version."""
    return line.replace("%R~", "~") if version == "6.2" else line


@pytest.fixture
def sandbox(server: Server, sandbox_simulator: RunningSimulator, tmp_path: Path) -> Iterator[Sandbox]:
    server.flush()
    with server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
    with Sandbox(server, sandbox_simulator, tmp_path) as sandbox:
        yield sandbox


def url_of(server: Server, user: str) -> str:
    return server.url.replace("redis://", f"redis://{user}:CHANGE-ME@")


def denied(server: Server) -> list[tuple[str, str]]:
    """Return user and object of each refusal since the last reset.

    Two do no harm: clients announce themselves, and ask for a setting that the user may not see.
    """
    with server.client(decode_responses=True) as client:
        entries: Any = client.execute_command("ACL", "LOG", "100")
    flat = [
        entry if isinstance(entry, dict) else dict(zip(*[iter(entry)] * 2, strict=True)) for entry in entries
    ]
    return [
        (e["username"], e["object"]) for e in flat if not {*e["object"].split("|")} & {"client", "config"}
    ]


def test_there_is_a_line_for_each_role() -> None:
    assert LINES.keys() == REFUSED.keys()
    assert LINES["web"] in PRODUCING


@pytest.mark.parametrize("user", LINES)
def test_a_user_is_refused_what_its_role_does_not_need(server: Server, user: str) -> None:
    with server.client(username=user, password="CHANGE-ME") as client:
        for command in (*EVERYBODY_IS_REFUSED, *REFUSED[user]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_the_producer_sends_and_reads_states_and_cannot_forget_the_queue(sandbox: Sandbox) -> None:
    server = sandbox.server
    key = sandbox.send(url=url_of(server, "web"), priority=3)
    producer = sandbox.producer(url_of(server, "web"))
    with pytest.raises((OperationalError, redis.exceptions.NoPermissionError)):
        producer.send_task(names.SEND_TASK, args=[MOBILE, CODE])

    with server.client(username="web", password="CHANGE-ME") as client:
        assert client.hmget(names.RECORD_PREFIX + key, ["state"]) == [None]
        assert client.hget(names.SENDING, "offer") is None
    assert not sandbox.redis.exists("celery")


def test_the_worker_does_all_of_its_work(sandbox: Sandbox) -> None:
    """It calls, retries, buries, refuses, takes what nobody can read, sweeps, and stops.

    It cancels, seals, tells fates, and may stop the whole fleet.
    """
    server = sandbox.server
    given: dict[str, Any] = {
        "fates": 1000,
        "seal_keys": SEAL_KEYS,
        "digest_key": SECRET,
        "stop_sending": True,
    }
    url = url_of(server, "worker")
    worker = sandbox.worker(broker_url=url, calls_per_day=100, number_per_day=50, **given)
    numbers = {"accepted": "13800000001", "retried": "13800000002", "dead": "13800000003"}
    sandbox.gateway.script(numbers["retried"], ["0"])
    sandbox.gateway.script(numbers["dead"], ["4030"])
    keys = {fate: sandbox.send(mobile, key=fate) for fate, mobile in numbers.items()}
    sandbox.wait_state([keys["accepted"], keys["retried"]])
    sandbox.wait_state(keys["dead"], "dead")
    sandbox.send("no number", key="refused")
    sandbox.push("no message")
    sandbox.push(sandbox_message("by-priority"), f"{names.QUEUE}\x06\x163")
    sandbox.wait_state("by-priority")
    wait_for(lambda: sandbox.redis.zcard(names.DEAD) == 3, LIMIT_SECONDS, "three dead letters")
    sandbox.producer().send_task(names.CANCEL_TASK, args=["cancelled"], queue=names.QUEUE)
    sandbox.wait_state("cancelled", "cancelled")
    for key, mobile in (("refused1", "13800000004"), ("refused2", "13800000005")):
        sandbox.gateway.script(mobile, ["4050"])
        sandbox.send(mobile, key=key)
        sandbox.wait_state(key, "dead")
    wait_for(lambda: sandbox.redis.hget(names.SENDING, "state") == "stopped", LIMIT_SECONDS, "the stop")
    time.sleep(5.5)  # a round of retention, and several of the sweep
    assert worker.stop() == 0

    assert denied(server) == []
    assert sandbox.states(list(keys.values())) == ["accepted", "accepted", "dead"]
    for name in (names.FATES, names.METRICS, names.WORKERS):
        assert sandbox.redis.exists(name), name


def test_the_workers_events_need_one_more_line(sandbox: Sandbox) -> None:
    server, (line,) = sandbox.server, re.findall(r"`(ACL SETUSER worker &[^`]*)`", PAGE)
    with server.client() as client, client.pubsub() as listening:
        client.execute_command(*line.split())
        listening.psubscribe("*")
        sandbox.worker(broker_url=url_of(server, "worker"), options=("-E",))
        sandbox.send(key="k")
        sandbox.wait_state("k")
        heard = wait_for(lambda: listening.get_message(ignore_subscribe_messages=True), LIMIT_SECONDS, "one")
        client.execute_command("ACL", "SETUSER", "worker", "resetchannels", "-publish")
    assert b"celeryev" in heard["channel"]
    assert denied(server) == []


def sandbox_message(key: str) -> str:
    from tests.support.sandbox import message  # noqa: PLC0415 - a name that is too general here

    return message(key, mobile="13800000009")


def run(server: Server, user: str, *arguments: str) -> Any:
    return CliRunner(
        env={
            "VOICECODE_BROKER_URL": url_of(server, user),
            "VOICECODE_GATEWAY_URL": "https://127.0.0.1:9",
            "VOICECODE_ACCOUNT": "a",
            "VOICECODE_APIKEY": "b",
            "VOICECODE_DIGEST_KEY": SECRET,
            "VOICECODE_SEAL_KEYS": SEAL_KEYS,
        }
    ).invoke(voicecode, arguments)


READS: Final = [
    (("status",), {0}),
    (("status", "k"), {0}),
    (("dead", "list"), {0}),
    (("dead", "stats"), {0}),
    (("dead", "list", "--reason", "permanent", "--sendable"), {0, 3}),
    (("dead", "show", "k"), {0}),
    (("dead", "audit"), {0, 3}),
    (("dead", "audit", "--key", "k"), {0, 3}),
    (("dead", "runs"), {0, 3}),
    (("dead", "run", "show", "run"), {3}),
    (("dead", "replay", "k", "--dry-run"), {0, 3}),
    (("dead", "discard", "k", "--dry-run"), {0}),
    (("keys", "list"), {0}),
    (("number", "show", MOBILE), {0}),
    (("check",), {0, 1}),
    (("account", "status"), {0, 1, 3}),
]


@pytest.mark.parametrize("user", ["reader", "operator"])
def test_operators_read(sandbox: Sandbox, dead_letter: Callable[[], None], user: str) -> None:
    dead_letter()
    for arguments, codes in READS:
        result = run(sandbox.server, user, *arguments)
        assert result.exit_code in codes, (arguments, result.output)
        assert "refused the command" not in result.output
    assert denied(sandbox.server) == []


@pytest.fixture
def dead_letter(sandbox: Sandbox) -> Callable[[], None]:
    """Return what makes a dead letter under the key `k`."""
    from tests.support.ledger_driver import LedgerDriver  # noqa: PLC0415 - this fixture alone needs it

    def make() -> None:
        driver = LedgerDriver(sandbox.server.url)
        driver.in_state("dead")
        driver.close()

    return make


ACTS: Final = [
    ("send", MOBILE, CODE),
    ("cancel", "unseen"),
    ("dead", "replay", "k", "--yes"),
    ("dead", "discard", "k", "--yes"),
    ("dead", "undo", "k"),
    ("dead", "show", "k", "--unmasked"),
    ("dead", "export", "--to", "FOLDER/export", "--unmasked"),
    ("dead", "import", "FOLDER/made", "--yes"),
    ("dead", "purge", "--older-than", "2d", "--yes"),
    ("dead", "run", "cancel", "known", "--yes"),
    ("keys", "reseal"),
    ("number", "unblock", MOBILE),
    ("account", "hold", "--note", "test", "--yes"),
    ("account", "resume", "--yes"),
    ("erase", MOBILE, "--yes"),
]


def prepare(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    """Leave something for an act to do."""
    before: dict[tuple[str, ...], tuple[str, ...]] = {
        ("dead", "undo"): ("dead", "discard", "k", "--yes"),
        ("dead", "import"): ("dead", "export", "--to", arguments[-2], "--unmasked"),
        ("account", "resume"): ("account", "hold", "--yes"),
    }
    if first := before.get(arguments[:2]):
        assert run(sandbox.server, "operator", *first).exit_code == 0
    if arguments[:2] == ("dead", "import"):
        sandbox.redis.flushdb()
    if arguments[:2] == ("dead", "run"):
        facts = {"action": "replay", "operator": "ops", "asked": "keys", "began_at": 1}
        sandbox.redis.hset(f"{names.RUN_PREFIX}known", mapping=facts)
    if arguments[:2] == ("dead", "purge"):
        sandbox.redis.zadd(names.DEAD, {"k": 1})
    if arguments[0] == "number":
        name = Digests(sandbox.redis, Settings(digest_key=SECRET)).number(MOBILE)
        sandbox.redis.zadd(names.NUMBER_PREFIX + name, {"block:4085": 4e9})
    if arguments[0] == "keys":
        old = seals_of(load(_env_file=None, seal_keys=SEAL_KEYS.split(",")[1]))
        assert old is not None
        record = {"v": names.RECORD_VERSION, "state": "dead", "sealed": old.seal(MOBILE, CODE, key="s")}
        sandbox.redis.hset(f"{names.RECORD_PREFIX}s", mapping=record)


@pytest.mark.parametrize("arguments", ACTS, ids=" ".join)
def test_an_operator_who_acts_may_and_one_who_reads_may_not(
    sandbox: Sandbox, dead_letter: Callable[[], None], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    dead_letter()
    arguments = tuple(argument.replace("FOLDER", str(tmp_path)) for argument in arguments)
    prepare(sandbox, arguments)
    before = sorted(dumped(sandbox.redis).splitlines())
    refused = run(sandbox.server, "reader", *arguments)
    assert refused.exit_code == 4, refused.output
    assert sorted(dumped(sandbox.redis).splitlines()) == before
    assert not list(tmp_path.glob("export*"))
    done = run(sandbox.server, "operator", *arguments)
    assert done.exit_code == 0, done.output
    assert "operator" not in dict(denied(sandbox.server))


@pytest.mark.parametrize("user", ["reader", "web"])
def test_a_script_of_theirs_writes_nothing_either(sandbox: Sandbox, user: str) -> None:
    """A script may do what its user may: a user that only reads may run those that only read."""
    loaded = sandbox.redis.script_load("redis.call('SET', KEYS[1], '1')")
    refused = pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|can't run this command")
    with sandbox.server.client(username=user, password="CHANGE-ME") as client, refused:
        client.evalsha(loaded, 1, names.SENDING)
    assert not sandbox.redis.exists(names.SENDING)


def test_the_console_shows_and_acts(sandbox: Sandbox, dead_letter: Callable[[], None]) -> None:
    dead_letter()
    configuration = Settings(broker_url=SecretStr(url_of(sandbox.server, "console")))
    with console_running(configuration) as console:
        visitor = console.visitor("operator")
        client: Any = console.console.client
        for path in ("/", "/dead", "/code/k", "/runs", "/audit?key=k"):
            assert visitor.get(path).status_code == 200, path
        plan = visitor.plan(kind="discard", key="k")
        visitor.post(plan)
        led = visitor.wait(plan, lambda page: page.status_code == 303).headers["Location"]
        visitor.wait(led, lambda page: "data-reload-after" not in page.text)
        wait_for(lambda: client.exists(names.CONSOLE_PREFIX + "samples"), LIMIT_SECONDS, "a sample")
    assert "console" not in dict(denied(sandbox.server))


def test_metrics_count(sandbox: Sandbox, dead_letter: Callable[[], None]) -> None:
    dead_letter()
    with sandbox.server.client(username="metrics", password="CHANGE-ME", decode_responses=True) as client:
        assert client.llen(names.QUEUE) == 0
        assert client.zcard(names.DEAD) == 1
        assert client.zcount(names.DUE, "-inf", "+inf") == 0
        assert client.hgetall(f"{names.DEAD_BY_PREFIX}counts")
        assert client.hgetall(names.SENDING) == {}
        assert client.zrange(names.WORKERS, 0, -1) == []
        assert client.info("memory")["used_memory"]
        assert client.time()
        source = Source(client, Settings(broker_url=sandbox.server.url))
        assert source.read().counters.dead == {"permanent": 1}
        sandbox.redis.execute_command("ACL", "LOG", "RESET")
        assert source.read().overview.dead.total == 1
    assert denied(sandbox.server) == []  # it asks only once for what it may not see
