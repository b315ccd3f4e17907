"""The golden message of clients/python, held against other people's Celery clients.

`celery-lowest` is the oldest stock Celery whose messages voicecode promises to take.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from config import names
from tests.integrations.environment import CLIENT, node_modules, python_of, run
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.integrations
GOLDEN: Final = json.loads((CLIENT / "tests" / "message.json").read_text("utf-8"))
MOBILE: Final = "13800138000"
NAMED: Final = {"key": "login:7f3a9c:1", "expires_at": 1764072000.5, "purpose": "login"}
OWN: Final = {"id", "root_id", "correlation_id", "delivery_tag", "reply_to"}
"""New in each message, or the sender's own."""
PUBLISH: Final = """
import json, sys
from celery import Celery, __version__
app = Celery("web", broker=sys.argv[1])
app.send_task("send_voice_code", args=["13800138000", "0042"], kwargs=json.loads(sys.argv[2]),
              queue="voice_codes", argsrepr="[redacted]", kwargsrepr="[redacted]")
print(__version__)
"""
PUBLISH_BY_NODE: Final = """
const celery = require('celery-node');
const client = celery.createClient(process.argv[2], process.argv[2], 'voice_codes');
client.createTask('send_voice_code').applyAsync(['13800138000', '0042'], JSON.parse(process.argv[3]));
setTimeout(() => process.exit(0), 1000);
"""


def published(sandbox: Sandbox) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(sandbox.redis.lindex(names.QUEUE, 0))
    return message


def same(part: str, message: Mapping[str, Any], without: set[str]) -> bool:
    wanted = {name: value for name, value in GOLDEN[part].items() if name not in OWN | without}
    return wanted == {name: message[part].get(name) for name in wanted}


@pytest.mark.parametrize("version", ["celery-lowest", "celery-newest"])
def test_stock_celery_says_all_that_the_golden_message_says(sandbox: Sandbox, version: str) -> None:
    run([str(python_of(version)), "-c", PUBLISH, sandbox.url, json.dumps(NAMED)], cwd=CLIENT)
    message = published(sandbox)
    assert same("headers", message, set())
    assert same("properties", message, set())
    assert (message["content-type"], message["content-encoding"]) == ("application/json", "utf-8")


@pytest.mark.parametrize("version", ["celery-lowest", "celery-newest"])
def test_a_worker_calls_for_it(sandbox: Sandbox, version: str) -> None:
    named = json.dumps({"key": "login:7f3a9c:1"})
    run([str(python_of(version)), "-c", PUBLISH, sandbox.url, named], cwd=CLIENT)
    sandbox.worker()
    sandbox.wait_state("login:7f3a9c:1")
    assert [call.code for call in sandbox.gateway.calls(MOBILE)] == ["0042"]


def test_celery_node_says_what_a_worker_reads(sandbox: Sandbox, tmp_path: Path) -> None:
    """It leaves out what no worker reads: root and group, and the redacted copies."""
    node_modules(tmp_path, "celery-node")
    (tmp_path / "publish.js").write_text(PUBLISH_BY_NODE)
    run(["node", "publish.js", sandbox.url, json.dumps(NAMED)], cwd=tmp_path)
    message = published(sandbox)
    assert message["headers"]["task"] == names.SEND_TASK
    assert message["properties"]["body_encoding"] == "base64"
    assert MOBILE not in json.dumps(message["headers"])
    assert (message["content-type"], message["content-encoding"]) == ("application/json", "utf-8")
