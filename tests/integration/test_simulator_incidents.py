"""The provider's side of a bad night, as the simulator shows it to gateway clients."""

import contextlib
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.replies import Symptom
from tests.support.gateways import settings_for, submit
from tests.support.simulator import ACCOUNT, APIKEY, encode_post, signed_form, start_simulator
from tests.support.workers import RunningWorker, enqueue, environment, stock_producer, wait_for
from worker.embedded.server import Server
from worker.gateway.client import Gateway
from worker.reply import Reply
from worker.simulator.process import RunningSimulator, SimulatorNotStartedError
from worker.simulator.scenarios import magic_number

SECOND = ("C00000002", "second-made-up-key")
PLAIN = "13800138000"
Gateways = Callable[..., Gateway]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with start_simulator(extra=["--other-account", *SECOND]) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: RunningSimulator) -> RunningSimulator:
    running.client.reset()
    return running


@pytest.fixture
def gateways(simulator: RunningSimulator) -> Iterator[Gateways]:
    """Return a maker of gateway clients; its arguments are settings."""
    made: list[Gateway] = []

    def make(**values: Any) -> Gateway:
        account = {"account": ACCOUNT, "apikey": APIKEY, **values}
        made.append(Gateway(settings_for(simulator.url, **account)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def codes(gateway: Gateway, count: int) -> list[int | None]:
    return [submit(gateway).code for _ in range(count)]


def test_the_account_runs_dry_and_is_topped_up(simulator: RunningSimulator, gateways: Gateways) -> None:
    gateway = gateways()
    simulator.client.balance(2)
    assert codes(gateway, 4) == [2, 2, 4051, 4051]
    assert gateway.balance().balance == 0
    simulator.client.top_up(1)
    assert gateway.balance().balance == 1
    assert codes(gateway, 2) == [2, 4051]


def test_each_account_has_a_balance_and_a_state_of_its_own(
    simulator: RunningSimulator, gateways: Gateways
) -> None:
    first, second = gateways(), gateways(account=SECOND[0], apikey=SECOND[1])
    simulator.client.account("4050")
    simulator.client.balance(1, account=SECOND[0])
    assert [codes(first, 1), codes(second, 2)] == [[4050], [2, 4051]]
    assert [call.account for call in simulator.client.calls()] == [SECOND[0]]


def test_a_key_is_rotated(simulator: RunningSimulator, gateways: Gateways) -> None:
    old, new = gateways(), gateways(apikey="the-new-key-of-tests")
    assert [codes(old, 1), codes(new, 1)] == [[2], [40502]]
    simulator.client.apikeys(APIKEY, "the-new-key-of-tests")
    assert [codes(old, 1), codes(new, 1)] == [[2], [2]]
    simulator.client.apikeys("the-new-key-of-tests")
    assert [codes(old, 1), codes(new, 1)] == [[40502], [2]]


@pytest.mark.parametrize(("refusal", "getnum"), [("400", 400), ("4052", 400)])
def test_one_address_is_refused(
    simulator: RunningSimulator,
    gateways: Gateways,
    monkeypatch: pytest.MonkeyPatch,
    refusal: str,
    getnum: int,
) -> None:
    """Workers on one machine come from addresses of their own by the environment alone."""
    here = []
    for address in ("10.0.0.1", "10.0.0.2"):
        with monkeypatch.context() as patch:
            for name, value in simulator.environment_at(address).items():
                patch.setenv(name, value)
            here.append(gateways(proxies_from_environment=True))
    simulator.client.client_address("10.0.0.2", refusal)
    assert [codes(gateway, 1) for gateway in here] == [[2], [int(refusal)]]
    assert [gateway.balance().code for gateway in here] == [2, getnum]
    assert [seen.address for seen in simulator.client.submissions()] == ["10.0.0.1", "10.0.0.2"]
    simulator.client.client_address("10.0.0.2", None)
    assert codes(here[1], 1) == [2]


def test_real_workers_come_from_addresses_of_their_own(
    simulator: RunningSimulator, server: Server, tmp_path: Path
) -> None:
    """The gateway refuses one of two workers; only their environment differs."""
    app = stock_producer(server.url)
    with contextlib.ExitStack() as workers:
        for address in ("10.0.0.1", "10.0.0.2"):
            env = environment(
                broker_url=server.url,
                gateway_url=simulator.url,
                heartbeat_file=str(tmp_path / f"{address}.beat"),
            )
            worker = RunningWorker(tmp_path / f"{address}.log", {**env, **simulator.environment_at(address)})
            workers.enter_context(worker).wait_ready()
        simulator.client.client_address("10.0.0.2", "4052")
        for number in range(40):
            enqueue(app, f"138002000{number:02}", "0042", key=f"address:{number}")
        wait_for(lambda: len(simulator.client.submissions()) >= 40, 30, "the submissions")
        seen = simulator.client.submissions()
    app.close()
    assert {(s.address, s.reply) for s in seen} == {("10.0.0.1", 2), ("10.0.0.2", 4052)}


def test_getnum_disagrees_with_submit(simulator: RunningSimulator, gateways: Gateways) -> None:
    gateway = gateways()
    simulator.client.balance(0)
    simulator.client.getnum(balance=500)
    assert (gateway.balance().balance, codes(gateway, 1)) == (500, [4051])
    simulator.client.balance(5)
    simulator.client.getnum(scenario="405")
    assert (gateway.balance().code, codes(gateway, 1)) == (405, [2])
    simulator.client.getnum()
    assert gateway.balance().balance == 4


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("0", (0, None)),
        ("http_502", (None, Symptom.HTTP_5XX)),
        ("html", (None, Symptom.UNREADABLE)),
        ("http_503", (None, Symptom.HTTP_503)),
    ],
)
def test_an_outage_ends_by_itself(
    simulator: RunningSimulator,
    gateways: Gateways,
    scenario: str,
    expected: tuple[int | None, Symptom | None],
) -> None:
    gateway = gateways()
    simulator.client.outage(scenario)
    reply = submit(gateway)
    assert (reply.code, reply.symptom) == expected
    simulator.client.outage(scenario, seconds=0.1)
    wait_for(lambda: simulator.client.state()["outage"] is None, 5, "the outage's end")
    assert codes(gateway, 1) == [2]


def test_nobody_listens_and_the_control_api_answers_all_the_same(
    simulator: RunningSimulator, gateways: Gateways
) -> None:
    gateway = gateways()
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as idle:
        wait_for(lambda: simulator.client.state()["connections_open"] == 1, 5, "the connection")
        simulator.client.refuse()
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    assert submit(gateway).symptom is Symptom.CONNECT_REFUSED
    assert simulator.client.state()["outage"] == "refuse"
    simulator.client.outage(None)
    assert codes(gateway, 1) == [2]
    simulator.client.refuse(0.1)
    wait_for(lambda: simulator.client.state()["outage"] is None, 5, "the outage's end")
    assert codes(gateway, 1) == [2]


def test_a_share_of_the_connections_is_refused_and_never_after_the_form_left(
    simulator: RunningSimulator, gateways: Gateways
) -> None:
    """Each submission opens a connection, and a refused one is known to have called nobody."""
    gateway = gateways()
    simulator.client.refuse(share=0.3, seed=1)
    replies: list[Reply] = []
    while len(replies) < 200:
        replies.append(submit(gateway))
        time.sleep(0.01)
    refused = sum(reply.symptom is Symptom.CONNECT_REFUSED for reply in replies)
    accepted = sum(reply.code == 2 for reply in replies)
    assert refused + accepted == len(replies)
    assert 30 < refused < 90
    assert accepted == len(simulator.client.calls())
    simulator.client.outage(None)
    assert codes(gateway, 20) == [2] * 20


def test_a_frozen_account_leaves_the_other_one_alone() -> None:
    limits = ["--per-second", "0", "--per-minute", "3", "--other-account", *SECOND]
    with start_simulator(strict=True, extra=limits) as simulator:

        def reply_code() -> int:
            connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
            head, _, body = encode_post(signed_form(PLAIN)).partition(b"\r\n\r\n")
            connection.request("POST", head.split(b" ")[1].decode(), body)
            code = int(json.load(connection.getresponse())["code"])
            connection.close()
            return code

        assert [reply_code() for _ in range(5)] == [2, 2, 2, 408, 408]
        states = simulator.client.state()["accounts"]
        assert (states[ACCOUNT]["scenario"], states[SECOND[0]]["scenario"]) == ("408", None)


def test_incidents_are_given_on_the_command_line() -> None:
    incidents = [
        *("--balance", "7"),
        *("--at", "0", "account", '{"getnum_balance": 500}'),
        *("--at", "0", "address", '{"address": "10.0.0.2", "scenario": "4052"}'),
        *("--at", "0.2", "account", '{"top_up": 3}'),
        *("--at", "0.3", "outage", '{"scenario": "refuse", "share": 0.5, "seconds": 600}'),
    ]
    with start_simulator(extra=incidents) as simulator:
        state = simulator.client.state()
        assert (state["account"]["getnum_balance"], state["addresses"]) == (500, {"10.0.0.2": "4052"})
        wait_for(lambda: simulator.client.state()["outage"] == "refuse", 5, "the outage")
        state = simulator.client.state()
        assert (state["account"]["balance"], state["refused_share"]) == (10, 0.5)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (("soon", "outage", "{}"), "--at takes seconds, a request and its body in JSON"),
        (("0", "outage", "refuse"), "--at takes seconds, a request and its body in JSON"),
        (("0", "outrage", "{}"), "no such request"),
        (("0", "outage", '{"scenario": "nonsense"}'), "no scenario is called 'nonsense'"),
        (("0", "outage", "{}"), "the body cannot be used: KeyError: 'scenario'"),
    ],
)
def test_an_incident_that_cannot_be_is_refused_at_start(at: tuple[str, str, str], said: str) -> None:
    with pytest.raises(SimulatorNotStartedError, match=said):
        start_simulator(extra=["--at", *at])


def test_accounts_and_addresses_survive_a_kill(tmp_path: Path) -> None:
    with start_simulator(journal=tmp_path / "journal", extra=["--other-account", *SECOND]) as simulator:
        simulator.client.client_address("10.0.0.2", "4052")
        simulator.client.top_up(5, account=SECOND[0])
        simulator.client.getnum(balance=1)
        before = simulator.client.state()
        simulator.kill()
        simulator.restart()
        assert simulator.client.state() == before


def test_the_control_page_has_a_button_for_each_request(simulator: RunningSimulator) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{simulator.control_port}/_simulator/") as reply:
        page = reply.read().decode()
    for request in ("account", "address", "outage", "rates", "script", "reset"):
        assert f'data-path="{request}"' in page


def test_the_control_port_is_no_gateway(simulator: RunningSimulator) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.control_port, timeout=5)
    head, _, body = encode_post(signed_form(magic_number("2"))).partition(b"\r\n\r\n")
    connection.request("POST", head.split(b" ")[1].decode(), body)
    assert connection.getresponse().status == 404
    connection.close()
    assert simulator.client.submissions() == []
