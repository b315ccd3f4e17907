"""The rules and the dashboard on a real Prometheus, fed by a real exporter and a real worker."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integrations.prometheus import DEPLOY, RULES, Prometheus, alerts, expressions, run, scraping
from tests.support.sandbox import Sandbox
from tests.support.workers import wait_for

pytestmark = pytest.mark.integrations
RULE_TESTS: Final = Path(__file__).with_name("rules.test.yml")


def test_the_rules_alert_when_they_should(programs: Path, tmp_path: Path) -> None:
    for file in (RULES, RULE_TESTS, DEPLOY / "prometheus" / "prometheus.yml"):
        shutil.copy(file, tmp_path)
    run(str(programs / "promtool"), "test", "rules", "rules.test.yml", cwd=tmp_path)
    run(str(programs / "promtool"), "check", "config", "prometheus.yml", cwd=tmp_path)


def test_every_rule_is_tried_while_it_holds() -> None:
    tried = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", RULE_TESTS.read_text("utf-8"))
    assert set(tried) == set(alerts())


@pytest.fixture
def prometheus(programs: Path, sandbox: Sandbox, tmp_path: Path) -> Iterator[Prometheus]:
    """Return a Prometheus that scrapes an exporter of the sandbox."""
    with scraping(programs, sandbox.url, tmp_path) as prometheus:
        yield prometheus


def test_every_query_answers_and_every_series_of_the_rules_tests_is_there(
    prometheus: Prometheus, programs: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """While the account is empty the rule of a stopped fleet holds, and then no more."""
    sandbox.worker(stop_sending=True, balance_warn="100")
    sandbox.wait_state(sandbox.send_all(20))
    stopped = alerts()["VoicecodeNotSending"]
    sandbox.gateway.balance(0)
    keys = sandbox.send_all(20)
    wait_for(lambda: prometheus.query(stopped), 60, "the rule of a stopped fleet")
    assert prometheus.value('voicecode_sending_stopped_by{row="4051"}') == 1
    sandbox.gateway.top_up(1000)
    sandbox.wait_state(keys)
    sandbox.send("13700000001", code="12x")
    wait_for(lambda: not prometheus.query(stopped), 60, "its end")
    wait_for(lambda: prometheus.value("voicecode_codes_accepted_total") == 40, 60, "all acceptances")
    wait_for(lambda: prometheus.query("voicecode_balance_calls"), 60, "the balance")
    wait_for(lambda: prometheus.query("voicecode_dead_letters"), 60, "the dead letter")

    assert [expression for expression in expressions() if not prometheus.query(expression)] == []
    series = set(re.findall(r"- series: '(.*)'", RULE_TESTS.read_text("utf-8")))
    # A name stands for any worker's.
    asked = {re.sub(r'worker="[^"]*"', 'worker=~".+"', one) for one in series}
    assert [one for one in asked if not prometheus.query(f"count_over_time({one}[5m])")] == []
    said = run(str(programs / "promtool"), "check", "metrics", cwd=tmp_path, given=prometheus.metrics())
    assert said == ""
