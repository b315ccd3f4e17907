"""`docs/deploying.md`: an old snapshot calls nobody again."""

import re
import time
from pathlib import Path

from click.testing import CliRunner

from tests.support.ledger_driver import LedgerDriver
from tests.support.sandbox import Sandbox, message
from tests.support.workers import environment
from worker.cli import voicecode

PAGE = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text("utf-8")


def test_nobody_is_called_from_a_restored_snapshot(sandbox: Sandbox) -> None:
    """It holds a waiting code, one in call, and a message whose code has no end of its own."""
    driver = LedgerDriver(sandbox.url)
    driver.claim("calling", life=3)
    driver.retry(driver.claim("waiting", life=3), 0.1)
    driver.close()
    sandbox.push(message("queued"))
    env = environment(broker_url=sandbox.url, gateway_url=sandbox.simulator.url)
    held = CliRunner(env=env).invoke(voicecode, ["account", "hold", "--note", "restored", "--yes"])
    assert held.exit_code == 0
    (words,) = re.findall(r"redis-cli (del .*)", PAGE)
    sandbox.redis.execute_command(*words.replace("'", "").split())
    sandbox.worker(stop_sending=True)
    sandbox.wait_state(["waiting", "calling"], "dead")
    resumed = CliRunner(env=env).invoke(voicecode, ["account", "resume", "--yes"])
    assert resumed.exit_code == 0
    sandbox.wait_state(sandbox.send("13900000001", expires_at=time.time() + 60))
    assert {form.mobile for form in sandbox.gateway.submissions()} == {"13900000001"}
