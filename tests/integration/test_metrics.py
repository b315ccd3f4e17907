"""The metrics: counted by the scripts, so they add up with the ledger and with the gateway."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config import names
from config.settings import Settings
from tests.support.ledger_driver import LedgerDriver
from tests.support.sandbox import CODE, Sandbox
from tests.support.workers import environment, wait_for
from worker.embedded.server import Server
from worker.ledger.counters import Counters
from worker.metrics.exporter import serve

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(settings: Settings) -> str:
    server, thread = serve(settings, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as reply:
            return str(reply.read().decode())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: Samples, name: str, **labels: str) -> float:
    return sum(
        value
        for (sample, having), value in found.items()
        if sample == name and labels.items() <= dict(having).items()
    )


def counters(client: Any) -> Counters:
    return Counters.from_hash(client.hgetall(names.METRICS))


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url)
    yield driver
    driver.close()


def test_a_scrape_adds_up_with_the_ledger_and_with_the_gateways_journal(sandbox: Sandbox) -> None:
    """Codes of several fates: each is in exactly one figure of its kind."""
    sandbox.worker(stop_sending=True, max_attempts=2)
    good = sandbox.send_all(20)
    refused = [sandbox.send("13700000001", key=f"bad{n}", code="12x") for n in range(3)]
    sandbox.gateway.script(full := "13900000009", ["4085"])
    blocked = sandbox.send(full)
    sandbox.wait_state(good)
    sandbox.wait_state(blocked, "dead")
    wait_for(lambda: sandbox.redis.zcard(names.DEAD) == 4, 20, "four dead letters")
    settings = Settings(broker_url=sandbox.url)
    found = samples(wait_for(lambda: scrape(settings), 5, "a scrape"))

    assert total(found, "voicecode_redis_up") == 1
    assert total(found, "voicecode_codes_first_seen_total") == 21
    assert total(found, "voicecode_codes_accepted_total") == 20
    assert total(found, "voicecode_codes_dead_total", reason="bad_input") == len(refused)
    assert total(found, "voicecode_codes_dead_total") == 4
    assert total(found, "voicecode_dead_letters") == 4
    assert total(found, "voicecode_calls_started_total") == len(sandbox.gateway.submissions()) == 21
    assert total(found, "voicecode_tries_total", row="2", kind="accepted") == 20
    assert total(found, "voicecode_tries_total") == 21
    for name, count in {
        "first_call_wait_seconds": 21,
        "acceptance_seconds": 20,
        "submission_duration_seconds": 21,
        "attempt_duration_seconds": 21,
    }.items():
        assert total(found, f"voicecode_{name}_count") == count
        assert total(found, f"voicecode_{name}_bucket", le="+Inf") == count
    assert total(found, "voicecode_sending", state="sending") == 1
    assert total(found, "voicecode_worker_up", worker="worker1@tests") == 1
    assert total(found, "voicecode_worker_slots", worker="worker1@tests") == 10
    assert total(found, "voicecode_worker_fit") == 1


def test_no_label_holds_a_number_a_code_or_a_key_and_the_series_are_bounded(sandbox: Sandbox) -> None:
    worker = sandbox.worker(stop_sending=True)
    keys = sandbox.send_all(3)
    sandbox.wait_state(keys)
    text = scrape(Settings(broker_url=sandbox.url))
    labels = {
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert worker.running
    assert not labels & {*keys, CODE}
    assert not [label for label in labels if re.search(r"\d{11}|\*{4}", label)]
    assert len(samples(text)) <= 300 + 10


def test_a_script_that_runs_twice_counts_once(driver: LedgerDriver) -> None:
    claim = driver.claim("k", token=(token := driver.token()))
    driver.claim("k", token=token)
    driver.accept(claim)
    driver.accept(claim)
    found = counters(driver.client)

    assert (found.first_seen, found.calls_started, found.accepted) == (1, 1, 1)
    assert found.rows == {"2": 1}


def test_a_death_in_mid_call_and_what_follows_are_counted(driver: LedgerDriver) -> None:
    """The lease runs out: that is an ambiguous try. A late acceptance revives the dead letter."""
    claim = driver.claim("k")
    driver.later(400)
    driver.upkeep()
    found = counters(driver.client)
    assert (found.rows, dict(found.dead)) == ({"lease_over": 1}, {"ambiguous": 1})
    driver.accept(claim)
    found = counters(driver.client)
    assert (found.accepted, found.revived) == (1, 1)


def test_a_wait_before_the_first_call_is_in_the_bucket_above_it(driver: LedgerDriver) -> None:
    driver.claim("k", not_before=driver.now + 20)
    driver.later(21)
    driver.resume("k")
    found = counters(driver.client)

    assert (found.first_seen, found.calls_started) == (1, 1)
    assert {bound: count for bound, count in found.first_call.items() if bound in {"16", "32"}} == {
        "16": 0,
        "32": 1,
    }


def test_the_page_explains_every_metric(driver: LedgerDriver) -> None:
    driver.in_state("accepted")
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")
    told = set(re.findall(r"`(voicecode_\w+)", page))
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(scrape(driver.settings))
    }
    assert shown <= told


def test_while_redis_is_away_one_metric_says_so() -> None:
    found = samples(scrape(Settings(broker_url="redis://127.0.0.1:1/0")))
    assert found == {("voicecode_redis_up", ()): 0.0}


def test_the_command_serves_until_sigterm(server: Server) -> None:
    env = environment(broker_url=server.url, gateway_url="http://127.0.0.1:9")
    command = [sys.executable, "-m", "worker.cli", "exporter", "--port", "0"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as exporter:
        assert exporter.stdout is not None
        line = exporter.stdout.readline()
        address = re.search(r"http://\S+/metrics", line)
        assert address, line
        with urllib.request.urlopen(address[0]) as reply:  # noqa: S310 - our own
            assert b"voicecode_redis_up 1.0" in reply.read()
        os.kill(exporter.pid, signal.SIGTERM)
        assert exporter.wait(20) == 0
