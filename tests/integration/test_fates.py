"""VOICECODE_FATES: each end of a code is an entry of a stream. While it is off it costs nothing."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from voicecode_client import AsyncClient, Client, Fate

from config import names
from tests.support.ledger_driver import MOBILE, LedgerDriver
from tests.support.sandbox import Sandbox
from worker.embedded.server import Server
from worker.message import Refused
from worker.store import scripts

ENDS = ("ledger/claim", "ledger/finish", "ledger/refuse", "ledger/upkeep", "ledger/cancel", "erasure/erase")


@pytest.fixture
def driver(server: Server) -> Iterator[LedgerDriver]:
    driver = LedgerDriver(server.url, fates=100)
    yield driver
    driver.close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def told(fates: list[Fate]) -> list[tuple[str, str, str, str]]:
    return [(fate.key, fate.state, fate.reason, fate.row) for fate in fates]


def test_each_end_is_told_once(driver: LedgerDriver, client: Client) -> None:
    driver.accept(driver.claim("accepted"))
    driver.bury(driver.claim("dead"))
    driver.retry(driver.claim("cancelled"))
    driver.ledger.cancel("cancelled")
    driver.ledger.cancel("cancelled")
    driver.ledger.cancel("cancelled before it came")
    claim = driver.claim("cancelled in mid-call")
    driver.ledger.cancel("cancelled in mid-call")
    driver.retry(claim)
    driver.refuse(Refused(key="refused", reason="x", raw="y"))
    driver.retry(driver.claim("expired", life=10), 1)
    driver.later(11)
    driver.upkeep()
    late = driver.claim("late")
    driver.later(20)
    driver.bury(driver.resume("late"))
    driver.accept(late)

    assert told(client.fates()) == [
        ("accepted", "accepted", "", "2"),
        ("dead", "dead", "permanent", "4050"),
        ("cancelled", "cancelled", "", ""),
        ("cancelled before it came", "cancelled", "", ""),
        ("cancelled in mid-call", "cancelled", "", "http_503"),
        ("refused", "dead", "bad_input", ""),
        ("expired", "dead", "expired", "http_503"),
        ("late", "dead", "permanent", "4050"),
        ("late", "accepted", "", "2"),
    ]


def test_a_fate_holds_neither_number_nor_code(driver: LedgerDriver, redis_client: redis.Redis) -> None:
    driver.accept(driver.claim("k"))
    text = str(redis_client.xrange(names.FATES))
    assert MOBILE not in text
    assert "0042" not in text


def test_a_reader_goes_on_where_it_stopped_and_knows_what_it_missed(
    driver: LedgerDriver, client: Client, redis_client: redis.Redis
) -> None:
    for number in range(3):
        driver.accept(driver.claim(f"a{number}"))
    first, second, _ = client.fates()
    assert [fate.key for fate in client.fates(first.position)] == ["a1", "a2"]
    assert client.fates(client.fates()[-1].position) == []
    for number in range(5):
        driver.accept(driver.claim(f"b{number}"))
    redis_client.xtrim(names.FATES, maxlen=2, approximate=False)
    rest = client.fates(second.position)
    assert [(fate.key, fate.missed) for fate in rest] == [("b3", 4), ("b4", 0)]


def test_the_stream_is_capped(server: Server, redis_client: redis.Redis) -> None:
    driver = LedgerDriver(server.url, fates=10)
    for number in range(150):
        driver.accept(driver.claim(f"k{number}"))
    driver.close()
    assert 10 <= redis_client.xlen(names.FATES) < 150  # Redis trims whole nodes of a stream


def test_both_clients_wait_for_the_next_one(driver: LedgerDriver, server: Server, client: Client) -> None:
    async def read() -> list[Fate]:
        async with AsyncClient(server.url, timeout_seconds=0.5) as reader:
            assert await reader.fates(wait_seconds=0.7) == []
            waiting = asyncio.create_task(reader.fates(wait_seconds=10))
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: driver.accept(driver.claim("k")))
            return await waiting

    assert [fate.key for fate in asyncio.run(read())] == ["k"]
    with Client(server.url, timeout_seconds=0.5) as reader:
        assert [fate.key for fate in reader.fates(wait_seconds=10)] == ["k"]
        assert reader.fates(client.fates()[-1].position, wait_seconds=0.7) == []


@pytest.mark.parametrize("name", ENDS)
def test_without_the_setting_it_costs_nothing(name: str) -> None:
    """Nothing of it is left but comments."""
    off = re.sub(r"--.*", "", scripts.source(name))
    assert "fates" not in off
    assert "tell(" not in off
    on = re.sub(r"--.*", "", scripts.source(name, fates=7))
    assert "'MAXLEN', '~', 7" in on


def test_every_script_that_ends_codes_is_given_the_setting() -> None:
    root = Path(__file__).parents[2] / "worker"
    for path in root.rglob("*.py"):
        for name, rest in re.findall(r'Script\(\w+, "([a-z_/]+)"(.*?)\)', path.read_text()):
            if re.search(r"\bbury\(|-- @fates", scripts.read_file(name)):
                assert "fates=settings.fates" in rest, name


def test_a_worker_tells_fates(sandbox: Sandbox) -> None:
    worker = sandbox.worker(fates=1000)
    with Client(sandbox.url) as client:
        sandbox.gateway.script("13800000001", ["4030"])
        client.send("13800000001", "0042", key="refused")
        client.send(MOBILE, "0042", key="called")
        sandbox.wait_state("called")
        sandbox.wait_state("refused", "dead")
        sandbox.wait_empty()
        assert sorted(told(client.fates())) == [
            ("called", "accepted", "", "2"),
            ("refused", "dead", "permanent", "4030"),
        ]
    assert worker.running
