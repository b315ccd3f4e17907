"""The night of the 4051: at twenty codes a second the account runs empty, until it is topped up.

Three workers with the settings by default, three minutes, one Prometheus and one webhook.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.names import Event
from tests.integrations.prometheus import Prometheus, expressions, run, scraping
from tests.nights.fleet import Fleet
from tests.support.receiver import Receiver
from tests.support.workers import wait_for

pytestmark = pytest.mark.integrations
RATE: Final = 20.0
SECONDS: Final = 180.0
EMPTY_AFTER: Final = 45.0
TOPPED_UP_AFTER: Final = 120.0
WORKERS: Final = 3


def test_one_page_one_message_and_figures_that_add_up_to_the_code(programs: Path, tmp_path: Path) -> None:
    with (
        Receiver() as receiver,
        Fleet(tmp_path, alert_webhook=f"json+{receiver.url}", balance_warn="") as fleet,
        scraping(programs, fleet.redis.url, tmp_path) as prometheus,
    ):
        fleet.start_three()
        fleet.gateway.balance(int(RATE * EMPTY_AFTER))
        began = time.time()
        with fleet.producing(RATE, SECONDS):
            wait_for(lambda: receiver.posted, EMPTY_AFTER * 2, "the message")
            time.sleep(max(0.0, began + TOPPED_UP_AFTER - time.time()))
            fleet.gateway.top_up(1_000_000)
        fleet.wait_ended(120)
        assert fleet.open() == []
        wait_for(lambda: len(receiver.posted) == 2, 30, "the end")
        # What the exporter shows is as old as its scrape.
        accepted = sum(fate.accepted for fate in fleet.fates())
        wait_for(lambda: prometheus.value("voicecode_codes_accepted_total") == accepted, 30, "a last scrape")
        told(fleet, receiver)
        adds_up(fleet, prometheus.metrics())
        story(prometheus, began)
        page = prometheus.metrics()
        assert run(str(programs / "promtool"), "check", "metrics", cwd=tmp_path, given=page) == ""
        assert sum(line[:1] != "#" for line in page.splitlines() if line) <= 300 + 10 * WORKERS


def told(fleet: Fleet, receiver: Receiver) -> None:
    """One page in three logs, one message, and one at the end."""
    messages = [json.loads(body) for _, _, body in receiver.posted]
    expected = [(Event.SENDING_STOPPED, "4051"), (Event.SENDING_RESUMED, "4051")]
    assert [(message["event"], message["row"]) for message in messages] == expected
    assert [page["incident"] for page in fleet.pages()] == [messages[0]["incident"]]


def adds_up(fleet: Fleet, page: str) -> None:
    """Compare the exporter with the ledger and with the gateway's journal, to the code."""
    fates, submissions = fleet.fates(), fleet.submissions()
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            label = sample.labels.get("row") or sample.labels.get("reason") or ""
            found[sample.name.removeprefix("voicecode_"), label] += int(sample.value)
    replies = Counter(str(submission.reply) for submission in submissions)
    reasons = Counter(fate.record.reason for fate in fates if fate.record and fate.dead)

    assert len(fates) == int(RATE * SECONDS)
    assert found["codes_first_seen_total", ""] == len(fates)
    assert found["codes_accepted_total", ""] == sum(fate.accepted for fate in fates)
    assert found["codes_accepted_total", ""] == sum(submission.called for submission in submissions)
    assert {reason: n for (name, reason), n in found.items() if name == "codes_dead_total" and n} == reasons
    assert found["codes_accepted_total", ""] + reasons.total() == len(fates)
    assert found["calls_started_total", ""] == len(submissions)
    assert {row: n for (name, row), n in found.items() if name == "tries_total" and n} == replies
    assert replies["4051"] >= 1


def story(prometheus: Prometheus, began: float) -> None:
    """Whoever looks at the dashboard sees when it stopped, of what, what it cost, and its end."""
    now = time.time()
    (sending,) = expressions("Sending")
    states = prometheus.query(f"max_over_time(({sending})[{now - began:.0f}s:1s])")
    assert {"sending", "stopped"} <= {series["metric"]["state"] for series in states}
    assert [series["metric"]["state"] for series in prometheus.query(sending)] == ["sending"]
    stopped = prometheus.course('voicecode_sending{state="stopped"} == 1', began, now)
    assert began + EMPTY_AFTER - 5 < stopped[0][0] < began + EMPTY_AFTER + 15
    assert began + TOPPED_UP_AFTER - 2 < stopped[-1][0] < began + TOPPED_UP_AFTER + 30
    # Shorter than the dashboard's five minutes, as the night is.
    seen, accepted, _ = (text.replace("5m", "15s") for text in expressions("Codes a second"))
    quiet = (stopped[0][0] + 20, began + TOPPED_UP_AFTER - 2)
    assert max(value for _, value in prometheus.course(accepted, *quiet)) < 1
    assert min(value for _, value in prometheus.course(seen, *quiet)) > RATE / 2
    _, _, waiting, _ = expressions("Where codes are")
    assert max(value for _, value in prometheus.course(waiting, *quiet)) > RATE * 50
    (calls_left,) = expressions("Calls left")
    assert min(value for _, value in prometheus.course(calls_left, *quiet)) == 0
    assert [text for text in expressions() if not prometheus.query(text) and "dead_letters" not in text] == []
    firing = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing",severity="page"}[10m]))'
    pages = prometheus.query(firing)
    assert [series["metric"]["alertname"] for series in pages] == ["VoicecodeNotSending"]
