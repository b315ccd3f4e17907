"""The simulator as a process: its limits, its journal, its start and its end."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from tests.support.simulator import ACCOUNT, APIKEY, encode_post, signed_form, start_simulator
from worker.simulator.process import RunningSimulator, SimulatorNotStartedError, start
from worker.simulator.scenarios import magic_number

PLAIN = "13800138000"


def code_of(data: bytes) -> int:
    return int(json.loads(data.partition(b"\r\n\r\n")[2])["code"])


def submit(simulator: RunningSimulator, mobile: str = PLAIN, **changes: str) -> int:
    """Submit on a connection of its own and return the reply code."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
        connection.sendall(encode_post(signed_form(mobile) | changes))
        return code_of(b"".join(iter(lambda: connection.recv(65_536), b"")))


def test_two_submissions_in_a_second_to_one_number_are_one_too_many() -> None:
    with start_simulator(strict=True) as simulator:
        assert [submit(simulator), submit(simulator), submit(simulator, "13800138001")] == [2, 4080, 2]


def test_more_than_ten_in_a_minute_freeze_the_account_until_it_is_mended() -> None:
    with start_simulator(strict=True, extra=["--per-second", "0"]) as simulator:
        assert [submit(simulator) for _ in range(11)] == [2] * 10 + [408]
        assert submit(simulator, "13800138001") == 408
        simulator.client.account(None)
        assert [submit(simulator), submit(simulator, "13800138001")] == [2, 2]


def test_many_wrong_keys_in_a_row_freeze_the_account_where_asked_for() -> None:
    with start_simulator(extra=["--wrong-keys", "3"]) as simulator:
        wrong = {"password": "0" * 32}
        assert [submit(simulator, **wrong), submit(simulator, **wrong), submit(simulator)] == [
            40502,
            40502,
            2,
        ]
        assert [submit(simulator, **wrong) for _ in range(3)] == [40502] * 3
        assert submit(simulator) == 408
        simulator.client.account(None)
        assert submit(simulator) == 2


def test_what_was_called_survives_a_kill_and_the_next_one_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    twice = magic_number("0", times=2)
    with start_simulator(journal=journal) as simulator:
        client = simulator.client
        client.balance(3)
        client.script("13800138001", ["4085", "4086"])
        assert [submit(simulator), submit(simulator, twice), submit(simulator, "13800138001")] == [2, 0, 4085]
        before = client.submissions()
        simulator.kill()
        simulator.restart()
        assert simulator.client.submissions() == before
        account = simulator.client.state()["account"]
        assert (account["scenario"], account["balance"]) == (None, 2)
        assert [submit(simulator, twice), submit(simulator, twice), submit(simulator, "13800138001")] == [
            0,
            2,
            4086,
        ]
        assert len({call.voice_id for call in simulator.client.calls()}) == 2
    assert journal.stat().st_mode & 0o077 == 0


def test_a_call_is_in_the_journal_before_its_reply_leaves(tmp_path: Path) -> None:
    """A simulator that is killed with the reply still in hand has placed the call all the same."""
    journal = tmp_path / "journal"
    with (
        start_simulator(journal=journal, latency=600) as simulator,
        socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection,
    ):
        connection.sendall(encode_post(signed_form(PLAIN)))
        while not simulator.client.calls():
            time.sleep(0.01)
        simulator.kill()
        assert connection.recv(1) == b""
    [line] = journal.read_text().splitlines()
    assert json.loads(line) | {"at": 0, "port": 0, "voice_id": ""} == {
        "at": 0,
        "mobile": PLAIN,
        "code": "0042",
        "scenario": "2",
        "source": "none",
        "reply": 2,
        "called": True,
        "voice_id": "",
        "signature": "dynamic",
        "method": "POST",
        "port": 0,
        "account": ACCOUNT,
        "address": "127.0.0.1",
    }


def test_latency_delays_each_reply() -> None:
    with start_simulator(latency=0.2) as simulator:
        began = time.monotonic()
        assert submit(simulator) == 2
        assert 0.2 <= time.monotonic() - began < 1.5


def test_it_prints_each_submission_with_the_number_masked() -> None:
    with start_simulator(extra=["--verbose"]) as simulator:
        submit(simulator)
        submit(simulator, magic_number("4050"))
        simulator.stop()
        assert list(simulator.output) == [
            "called 138****8000 scenario=2 by=none",
            "not called 199****4050 scenario=4050 by=number",
        ]


def test_https_takes_the_key_itself(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    authority.cert_pem.write_to_path(paths[0])
    certificate.cert_chain_pems[0].write_to_path(paths[1])
    certificate.private_key_pem.write_to_path(paths[2])
    tls = ["--tls-cert", str(paths[1]), "--tls-key", str(paths[2])]
    with start(account=ACCOUNT, apikey=APIKEY, extra=tls) as simulator:
        assert simulator.url == f"https://127.0.0.1:{simulator.port}/webservice/voice.php"
        context = ssl.create_default_context(cafile=str(paths[0]))
        plain = {"account": ACCOUNT, "password": APIKEY, "mobile": PLAIN, "content": "0042", "format": "json"}
        raw = socket.create_connection(("127.0.0.1", simulator.port), timeout=5)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(encode_post(plain))
            assert code_of(b"".join(iter(lambda: connection.recv(65_536), b""))) == 2
        raw = socket.create_connection(("127.0.0.1", simulator.port), timeout=5)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(encode_post(plain | {"mobile": magic_number("accepted_then_reset")}))
            # Python's TLS reports a reset as an end, so the bytes below it are read.
            below = socket.socket(fileno=os.dup(connection.fileno()))
            below.settimeout(5)
            with below, pytest.raises(ConnectionResetError):
                list(iter(lambda: below.recv(65_536), b""))
        assert [call.signature for call in simulator.client.calls()] == ["plain", "plain"]


def test_a_port_that_is_taken_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorNotStartedError, match=f"cannot listen on 127.0.0.1:{port}"):
            start_simulator(extra=["--port", str(port)])


def test_sigterm_ends_it_cleanly_with_connections_open() -> None:
    simulator = start_simulator()
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
        connection.sendall(encode_post(signed_form(magic_number("silent"))))
        while not simulator.client.submissions():
            time.sleep(0.01)
        assert simulator.stop() == 0
    assert list(simulator.output) == []


def test_it_ends_when_its_parent_was_killed() -> None:
    """No orphan is left behind by a test run that was killed with -9."""
    program = (
        "import time\nfrom tests.support.simulator import start_simulator\n"
        "s = start_simulator()\nprint(s.pid, s.port, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid, port = map(int, parent.stdout.readline().split())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the simulator outlived its parent")


def test_nothing_of_celery_or_redis_is_imported() -> None:
    """It starts in a fraction of a second, and has no part in what it tests."""
    heavy = ("celery", "kombu", "redis", "requests", "pydantic")
    program = f"import sys, worker.simulator.__main__ as m; print([n for n in {heavy} if n in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
