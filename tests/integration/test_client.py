"""clients/python with a real worker, on each version of Redis, as the user of docs/producing.md."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis
from voicecode_client import Client, Duplicate, Sent

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
