"""clients/python with a real worker, on each version of Redis, as the user of docs/producing.md."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis
from voicecode_client import Client, Duplicate, Refused, Sent

from config import names
from tests.support.redis_versions import EACH_VERSION, program_of
from tests.support.sandbox import MOBILE, Sandbox
from tests.support.workers import ROOT, stock_producer
from worker.embedded.server import Server, start_server

PAGE: Final = (ROOT / "docs" / "producing.md").read_text("utf-8")
GOLDEN: Final = json.loads((ROOT / "clients/python/tests/message.json").read_text("utf-8"))


def test_a_code_is_called_and_its_status_is_told(sandbox: Sandbox) -> None:
    sandbox.worker()
    with Client(sandbox.url) as client:
        assert isinstance(client.send(MOBILE, "0042", key="k", purpose="login"), Sent)
        sandbox.wait_state("k")
        status = client.status("k")
        assert client.send(MOBILE, "0042", key="k") == Duplicate(key="k", state="accepted")
        assert client.send(MOBILE, "0043", key="k2", expires_in=60) != client.send(MOBILE, "1", key="k3")
    assert (status.state, status.reply_code, status.ended) == ("accepted", 2, True)
    assert status.voice_id
    assert sandbox.record("k")["expires_at"] == f"{status.expires_at:.3f}"
    assert [call.code for call in sandbox.gateway.calls(MOBILE)][:1] == ["0042"]


def test_stock_celery_writes_the_same_message(server: Server, redis_client: redis.Redis) -> None:
    """All that ours says, Celery's says too; Celery adds what no worker of ours reads."""
    with stock_producer(server.url) as app:
        app.send_task(
            names.SEND_TASK,
            args=[MOBILE, "0042"],
            kwargs={"key": "login:7f3a9c:1", "expires_at": 1764072000.5, "purpose": "login"},
            queue=names.QUEUE,
            argsrepr="[redacted]",
            kwargsrepr="[redacted]",
        )
    theirs = json.loads(str(redis_client.lindex(names.QUEUE, 0)))
    own = {"id", "root_id", "correlation_id", "delivery_tag", "reply_to"}  # new in each message
    for part in ("headers", "properties"):
        assert GOLDEN[part].keys() <= theirs[part].keys()
        same = GOLDEN[part].keys() - own
        assert {name: theirs[part][name] for name in same} == {name: GOLDEN[part][name] for name in same}
    assert {name: theirs[name] for name in ("body", "content-type", "content-encoding")} == {
        "body": theirs["body"],
        "content-type": GOLDEN["content-type"],
        "content-encoding": GOLDEN["content-encoding"],
    }


@pytest.fixture(scope="module", params=EACH_VERSION)
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Start a server with the client's user."""
    [line] = [line for line in re.findall(r"^ACL SETUSER .*$", PAGE, re.MULTILINE) if "+evalsha" in line]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_SERVER", program_of(request.param))
        with start_server() as server, server.client() as client:
            client.execute_command(*(line.replace("%R~", "~") if request.param == "6.2" else line).split())
            yield server


@pytest.fixture
def user(guarded: Server) -> Iterator[Any]:
    guarded.flush()
    with guarded.client(username="webapp", password="CHANGE-ME") as client:
        yield client


def as_webapp(guarded: Server) -> Client:
    return Client(guarded.url.replace("//", "//webapp:CHANGE-ME@"))


def test_the_user_of_the_page_does_all_that_the_client_does(guarded: Server, user: Any) -> None:
    """Send, send again, ask, cancel: with the line as it stands in the page."""
    assert user.ping()
    with as_webapp(guarded) as client:
        assert isinstance(client.send(MOBILE, "0042", key="k"), Sent)
        assert client.send(MOBILE, "0042", key="k") == Duplicate(key="k", state="queued")
        assert client.status("k").state == "queued"
        client.cancel("k")
        with guarded.client(decode_responses=True) as all_mighty:
            assert all_mighty.llen(names.QUEUE) == 2
            record = {"v": "2", "state": "dead", "mobile": MOBILE, "code": "0042", "reason": "permanent"}
            all_mighty.hset(f"{names.RECORD_PREFIX}k", mapping=record)
            all_mighty.hset(names.SENDING, mapping={"offer": "sms", "row": "4051"})
        assert client.status("k").reason == "permanent"
        assert isinstance(client.send(MOBILE, "0042", key="other"), Refused)


REFUSED: Final = [
    ("RPOP", names.QUEUE),
    ("LRANGE", names.QUEUE, "0", "-1"),
    ("LPUSH", "celery", "x"),
    ("KEYS", "*"),
    ("HGETALL", f"{names.RECORD_PREFIX}k"),
    ("DEL", f"{names.SENT_PREFIX}k"),
    ("EVAL", "return redis.call('DEL', KEYS[1])", "1", names.QUEUE),
    ("EVAL", "return redis.call('SET', KEYS[1], '1')", "1", "of-another-app"),
    ("HMGET", names.UNACKED, "x"),
    ("GET", names.DIGEST_KEY),
    ("XREAD", "STREAMS", "{voice_codes}:fates", "0"),
]


@pytest.mark.parametrize("command", REFUSED, ids=lambda command: " ".join(command[:2]))
def test_and_nothing_beside(user: Any, command: tuple[str, ...]) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|NOPERM|can't (access|run)|ACL"):
        user.execute_command(*command)


def test_the_line_with_fates_reads_them(guarded: Server, user: Any) -> None:
    """`+xread` and the stream's key, as the page says."""
    del user
    extra = re.search(r"`(\+xread %R~\{voice_codes\}:fates)`", PAGE)
    assert extra is not None
    version = guarded_version(guarded)
    rule = extra[1].replace("%R~", "~") if version.startswith("6.") else extra[1]
    with guarded.client(decode_responses=True) as all_mighty, as_webapp(guarded) as client:
        all_mighty.execute_command("ACL", "SETUSER", "webapp", *rule.split())
        all_mighty.xadd("{voice_codes}:fates", {"n": 1, "key": "k", "state": "dead", "reason": "", "row": ""})
        assert [fate.key for fate in client.fates()] == ["k"]
        all_mighty.execute_command("ACL", "SETUSER", "webapp", "-xread")


def guarded_version(guarded: Server) -> str:
    with guarded.client(decode_responses=True) as all_mighty:
        return str(all_mighty.info("server")["redis_version"])
