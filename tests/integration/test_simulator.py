"""Every scenario of the simulator, seen over a socket."""

import gzip
import http.client
import json
import re
import socket
import time
import zlib
from collections.abc import Iterator

import pytest

from tests.support.simulator import ACCOUNT, APIKEY, encode_post, signed_form, start_simulator
from worker.simulator.client import SimulatorError
from worker.simulator.process import RunningSimulator
from worker.simulator.scenarios import FORMS, REPLIES, SCENARIOS, magic_number
from worker.simulator.server import GATEWAY_PATH

PLAIN = "13800138000"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: RunningSimulator) -> RunningSimulator:
    running.client.reset()
    return running


def connect(simulator: RunningSimulator) -> socket.socket:
    return socket.create_connection(("127.0.0.1", simulator.port), timeout=5)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def exchange(simulator: RunningSimulator, form: dict[str, str]) -> bytes:
    """Submit on a connection of its own, and return every byte until it closes."""
    with connect(simulator) as connection:
        connection.sendall(encode_post(form))
        return read_all(connection)


def submit(simulator: RunningSimulator, mobile: str, *, asked_format: str = "json") -> tuple[int, bytes]:
    """Return HTTP status and body, as a client of the standard library reads them."""
    return post(simulator, signed_form(mobile, asked_format=asked_format))


def post(simulator: RunningSimulator, form: dict[str, str], *, method: str = "Submit") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    try:
        head, _, body = encode_post(form, method=method).partition(b"\r\n\r\n")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", head.split(b" ")[1].decode(), body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def reply_code(simulator: RunningSimulator, form: dict[str, str], *, method: str = "Submit") -> int:
    return int(json.loads(post(simulator, form, method=method)[1])["code"])


@pytest.mark.parametrize("scenario", REPLIES, ids=lambda scenario: scenario.name)
def test_each_reply_code_is_sent_with_the_gateways_own_text_in_both_formats(
    simulator: RunningSimulator, scenario: object
) -> None:
    scenario = SCENARIOS[getattr(scenario, "name", "")]
    status, body = submit(simulator, magic_number(scenario.name))
    flat = json.loads(body)
    assert (status, flat["code"], flat["msg"]) == (200, scenario.code, scenario.message)
    text = submit(simulator, magic_number(scenario.name), asked_format="xml")[1].decode()
    assert f"<code>{scenario.code}</code>\n<msg>{scenario.message}</msg>" in text
    assert 'xmlns="http://106.ihuyi.com/"' in text
    assert [scenario.called] * 2 == [seen.called for seen in simulator.client.submissions()]


@pytest.mark.parametrize("scenario", [form.name for form in FORMS if form.name != "slow"])
def test_each_form_of_an_accepted_reply_says_2_and_counts_as_a_call(
    simulator: RunningSimulator, scenario: str
) -> None:
    _status, body = submit(simulator, magic_number(scenario))
    if scenario in {"json_gzip", "json_deflate"}:
        body = zlib.decompress(body, 32 + zlib.MAX_WBITS)
    assert re.search(rb'(code"?[:>]"?)2\b', body), body
    assert [SCENARIOS[scenario].name] == [
        call.scenario for call in simulator.client.calls(magic_number(scenario))
    ]


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("json_wrapped", rb'^{"SubmitResult":{"code":2,'),
        ("json_code_as_string", rb'"code":"2"'),
        ("json_id_as_number", rb'"smsid":\d{20}}'),
        ("json_voiceid", rb'"voiceid":"\d{20}"'),
        ("json_no_id", rb'"smsid":0}'),
        ("json_bom", rb"^\xef\xbb\xbf{"),
        ("json_gbk", "提交成功".encode("gbk")),
        ("json_gbk_undeclared", "提交成功".encode("gbk")),
        ("xml_cn", rb'xmlns="http://106\.ihuyi\.cn/"'),
        ("xml_address", rb'xmlns="http://121\.199\.16\.178/"'),
        ("xml_bare", rb"<SubmitResult>"),
        ("xml_prefixed", rb"<s:code>2</s:code>"),
        ("xml_smsid", rb"<smsid>\d{20}</smsid>"),
        ("xml_bom", rb"^\xef\xbb\xbf<\?xml"),
        ("xml_gbk", b'encoding="gbk"(?s:.)*' + re.escape("提交成功".encode("gbk"))),
    ],
)
def test_a_form_has_the_bytes_that_it_is_named_after(
    simulator: RunningSimulator, scenario: str, said: bytes
) -> None:
    assert re.search(said, submit(simulator, magic_number(scenario))[1])


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("chunked", b"Transfer-Encoding: chunked\r\n"),
        ("cookie", b"Set-Cookie: session=1"),
        ("json_gbk", b"charset=gbk\r\n"),
        ("json_as_html", b"Content-Type: text/html"),
        ("http_500_accepted", b"HTTP/1.1 500 "),
        ("json_gzip", b"Content-Encoding: gzip\r\n"),
        ("json_deflate", b"Content-Encoding: deflate\r\n"),
        ("keep_alive_short", b"Keep-Alive: timeout=1\r\n"),
        ("redirect_302", b"HTTP/1.1 302 Found\r\n"),
        ("redirect_307", b"Location: /moved\r\n"),
        ("http_429", b"Retry-After: 2\r\n"),
        ("http_503", b"Retry-After: 2\r\n"),
    ],
)
def test_a_header_is_as_the_scenario_says(simulator: RunningSimulator, scenario: str, said: bytes) -> None:
    assert said in exchange(simulator, signed_form(magic_number(scenario)))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 421, 425, 429, 500, 502, 503, 504])
def test_each_http_status_is_sent_and_calls_nobody(simulator: RunningSimulator, status: int) -> None:
    assert status == submit(simulator, magic_number(f"http_{status}"))[0]
    assert simulator.client.calls() == []


@pytest.mark.parametrize(
    ("scenario", "called"),
    [("reset_before_reading", False), ("reset_after_reading", False), ("accepted_then_reset", True)],
)
def test_a_reset_is_a_reset_and_the_journal_knows_whether_a_call_was_placed(
    simulator: RunningSimulator,
    scenario: str,
    called: bool,  # noqa: FBT001 - a column of the table
) -> None:
    with pytest.raises(ConnectionResetError):
        exchange(simulator, signed_form(magic_number(scenario)))
    assert [called] == [seen.called for seen in simulator.client.submissions(magic_number(scenario))]


@pytest.mark.parametrize(
    ("scenario", "called"), [("closed_without_reply", False), ("accepted_then_closed", True)]
)
def test_a_connection_is_closed_without_a_byte(
    simulator: RunningSimulator,
    scenario: str,
    called: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert exchange(simulator, signed_form(magic_number(scenario))) == b""
    assert called == bool(simulator.client.calls())


@pytest.mark.parametrize(("scenario", "called"), [("silent", False), ("accepted_then_silent", True)])
def test_silence_lasts_as_long_as_asked_and_then_ends_without_a_byte(
    simulator: RunningSimulator,
    scenario: str,
    called: bool,  # noqa: FBT001 - a column of the table
) -> None:
    simulator.client.script(PLAIN, [f"{scenario}:0.3"])
    began = time.monotonic()
    assert exchange(simulator, signed_form(PLAIN)) == b""
    assert 0.3 <= time.monotonic() - began < 2
    assert called == bool(simulator.client.calls())


def test_a_slow_reply_comes_whole_and_late(simulator: RunningSimulator) -> None:
    simulator.client.script(PLAIN, ["slow:0.3"])
    began = time.monotonic()
    assert b'"code":2' in exchange(simulator, signed_form(PLAIN))
    assert 0.3 <= time.monotonic() - began < 2


@pytest.mark.parametrize(("scenario", "first"), [("drip_header", b"H"), ("drip_body", b"HTTP/1.1 200 OK")])
def test_a_dripping_reply_comes_byte_by_byte_and_is_whole_in_the_end(
    simulator: RunningSimulator, scenario: str, first: bytes
) -> None:
    simulator.client.script(PLAIN, [f"{scenario}:0.005"])
    with connect(simulator) as connection:
        connection.sendall(encode_post(signed_form(PLAIN)))
        pieces = list(iter(lambda: connection.recv(65_536), b""))
    assert len(pieces) > 20
    assert pieces[0].startswith(first)
    assert b"".join(pieces).endswith(b"}")
    assert len(simulator.client.calls()) == 1


def test_a_truncated_body_is_shorter_than_its_header_says(simulator: RunningSimulator) -> None:
    head, _, body = exchange(simulator, signed_form(magic_number("truncated"))).partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None
    assert 0 < len(body) < int(length[1])
    assert len(simulator.client.calls()) == 1


@pytest.mark.parametrize(
    ("scenario", "test"),
    [
        ("html", lambda body: body.startswith(b"<html>")),
        ("empty", lambda body: body == b""),
        ("garbled", lambda body: len(body) == 128),
        ("large", lambda body: len(body) > 1_000_000),
        ("doctype", lambda body: b"<!DOCTYPE" in body),
        ("entity_bomb", lambda body: body.count(b"<!ENTITY") == 10),
        ("gzip_bomb", lambda body: len(body) < 2000 and len(gzip.decompress(body)) > 1_000_000),
    ],
)
def test_rubbish_comes_with_status_200_and_calls_nobody(
    simulator: RunningSimulator, scenario: str, test: object
) -> None:
    status, body = submit(simulator, magic_number(scenario))
    assert status == 200
    assert callable(test)
    assert test(body)
    assert simulator.client.calls() == []


def test_whoever_follows_a_redirect_is_counted(simulator: RunningSimulator) -> None:
    submit(simulator, magic_number("redirect_302"))
    assert simulator.client.state()["redirects_followed"] == 0
    with connect(simulator) as connection:
        connection.sendall(b"GET /moved HTTP/1.1\r\nHost: simulator\r\nConnection: close\r\n\r\n")
        read_all(connection)
    assert simulator.client.state()["redirects_followed"] == 1


def test_a_magic_number_that_counts_is_accepted_afterwards(simulator: RunningSimulator) -> None:
    mobile = magic_number("0", times=2)
    assert [reply_code(simulator, signed_form(mobile)) for _ in range(4)] == [0, 0, 2, 2]


def test_a_script_is_played_in_order_and_then_accepted(simulator: RunningSimulator) -> None:
    simulator.client.script(PLAIN, ["0", "4051", "9999"])
    assert [reply_code(simulator, signed_form(PLAIN)) for _ in range(4)] == [0, 4051, 9999, 2]
    assert reply_code(simulator, signed_form("13800138001")) == 2


def test_rates_are_drawn_alike_for_the_same_seed(simulator: RunningSimulator) -> None:
    def draw(seed: int) -> list[int]:
        simulator.client.rates({"0": 0.3, "4085": 0.2}, seed=seed)
        return [reply_code(simulator, signed_form(PLAIN)) for _ in range(40)]

    first, again, other = draw(1), draw(1), draw(2)
    assert first == again != other
    assert set(first) == {0, 4085, 2}
    simulator.client.rates({})
    assert reply_code(simulator, signed_form(PLAIN)) == 2


def test_the_account_plays_one_thing_until_it_is_mended(simulator: RunningSimulator) -> None:
    simulator.client.account("4050")
    assert [reply_code(simulator, signed_form(mobile)) for mobile in (PLAIN, magic_number("0"))] == [
        4050,
        4050,
    ]
    simulator.client.account(None)
    assert reply_code(simulator, signed_form(PLAIN)) == 2


def test_calls_cost_one_each_until_none_is_left_and_topping_up_heals(simulator: RunningSimulator) -> None:
    simulator.client.balance(2)
    assert [reply_code(simulator, signed_form(PLAIN)) for _ in range(3)] == [2, 2, 4051]
    assert reply_code(simulator, signed_form(magic_number("4085"))) == 4051
    simulator.client.balance(1)
    assert reply_code(simulator, signed_form(PLAIN)) == 2


def balance_form(asked_format: str = "json") -> dict[str, str]:
    form = signed_form("", "", asked_format=asked_format)
    del form["mobile"], form["content"]
    return form


def test_getnum_tells_how_many_calls_are_left(simulator: RunningSimulator) -> None:
    simulator.client.balance(1)
    assert json.loads(post(simulator, balance_form(), method="GetNum")[1]) == {
        "code": 2,
        "msg": "提交成功",
        "num": 1,
    }
    reply_code(simulator, signed_form(PLAIN))
    text = post(simulator, balance_form("xml"), method="GetNum")[1].decode()
    assert "<GetNumResult" in text
    assert "<num>0</num>" in text
    assert len(simulator.client.submissions()) == 1


@pytest.mark.parametrize(
    ("account", "code"), [("4050", 4050), ("408", 4050), ("4051", 2), ("405", 405), ("4052", 400)]
)
def test_getnum_answers_with_the_codes_that_it_knows(
    simulator: RunningSimulator, account: str, code: int
) -> None:
    simulator.client.account(account)
    assert code == reply_code(simulator, balance_form(), method="GetNum")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account": ""}, 401),
        ({"password": ""}, 402),
        ({"account": "C99999999"}, 405),
        ({"password": "not-the-key", "time": ""}, 405),
        ({"password": "0" * 32}, 40502),
        ({"content": "9999"}, 40502),
        ({"time": "1700000000"}, 40502),
    ],
)
def test_a_form_with_wrong_credentials_is_refused_as_the_gateway_would(
    simulator: RunningSimulator, changes: dict[str, str], code: int
) -> None:
    assert code == reply_code(simulator, signed_form(PLAIN) | changes)
    assert simulator.client.calls() == []


@pytest.mark.parametrize(
    ("mobile", "content", "code"),
    [
        ("", "0042", 403),
        ("12800138000", "0042", 406),
        ("+8613800138000", "0042", 406),
        (PLAIN, "", 404),
        (PLAIN, "123", 4070),
        (PLAIN, "1234567", 4070),
        (PLAIN, "12a4", 4070),
        (PLAIN, "000042", 2),
    ],
)
def test_number_and_code_are_checked(
    simulator: RunningSimulator, mobile: str, content: str, code: int
) -> None:
    assert code == reply_code(simulator, signed_form(mobile, content))


@pytest.mark.parametrize(("off", "code"), [(-290, 2), (290, 2), (-310, 40501), (310, 40501)])
def test_a_signature_lives_five_minutes_either_way(simulator: RunningSimulator, off: int, code: int) -> None:
    assert code == reply_code(simulator, signed_form(PLAIN, at=time.time() + off))


def test_the_key_itself_is_not_taken_over_http(simulator: RunningSimulator) -> None:
    plain = {"account": ACCOUNT, "password": APIKEY, "mobile": PLAIN, "content": "0042", "format": "json"}
    assert reply_code(simulator, plain) == 405
    with start_simulator(extra=["--allow-plain-http"]) as lax:
        assert reply_code(lax, plain) == 2
        assert [call.signature for call in lax.client.calls()] == ["plain"]


def test_a_format_other_than_json_is_answered_in_xml(simulator: RunningSimulator) -> None:
    for asked in ("xml", "yaml", ""):
        assert submit(simulator, PLAIN, asked_format=asked)[1].startswith(b"<?xml")


def test_get_is_answered_and_recorded_as_such(simulator: RunningSimulator) -> None:
    query = encode_post(signed_form(PLAIN)).partition(b"\r\n\r\n")[2].decode()
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    connection.request("GET", f"{GATEWAY_PATH}?method=Submit&{query}")
    assert json.load(connection.getresponse())["code"] == 2
    connection.close()
    assert [call.method for call in simulator.client.calls()] == ["GET"]


def test_a_connection_is_kept_for_the_next_request_even_when_both_come_at_once(
    simulator: RunningSimulator,
) -> None:
    with connect(simulator) as connection:
        connection.sendall(encode_post(signed_form(PLAIN), close=False) + encode_post(signed_form(PLAIN)))
        assert read_all(connection).count(b'"code":2') == 2
    assert len({call.port for call in simulator.client.calls()}) == 1


def test_a_request_that_comes_in_pieces_is_understood(simulator: RunningSimulator) -> None:
    data = encode_post(signed_form(PLAIN))
    with connect(simulator) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(0, len(data), 40):
            connection.sendall(data[n : n + 40])
        assert b'"code":2' in read_all(connection)


@pytest.mark.parametrize(
    "data", [b"rubbish\r\n\r\n", b"\xff\xfe\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"]
)
def test_what_is_no_request_gets_http_400_and_harms_nobody(simulator: RunningSimulator, data: bytes) -> None:
    with connect(simulator) as connection:
        connection.sendall(data)
        assert read_all(connection).startswith(b"HTTP/1.1 400")
    assert reply_code(simulator, signed_form(PLAIN)) == 2


def test_an_outage_answers_everything_alike_and_places_no_call(simulator: RunningSimulator) -> None:
    simulator.client.outage("http_503")
    assert [submit(simulator, mobile)[0] for mobile in (PLAIN, magic_number("0"))] == [503, 503]
    assert post(simulator, balance_form(), method="GetNum")[0] == 503
    simulator.client.outage(None)
    assert submit(simulator, PLAIN)[0] == 200
    assert len(simulator.client.calls()) == 1


def test_an_outage_may_hang(simulator: RunningSimulator) -> None:
    simulator.client.outage("silent:600")
    with connect(simulator) as connection:
        connection.sendall(encode_post(signed_form(PLAIN)))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert simulator.client.calls() == []


def test_an_outage_may_reset_with_the_form_unread(simulator: RunningSimulator) -> None:
    simulator.client.outage("reset_before_reading")
    with pytest.raises(ConnectionResetError):
        exchange(simulator, signed_form(PLAIN))
    assert simulator.client.submissions() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda client: client.script(PLAIN, ["nonsense"]), "no scenario is called 'nonsense'"),
        (lambda client: client.account("nonsense"), "no scenario is called"),
        (lambda client: client.outage("nonsense"), "no scenario is called"),
        (lambda client: client.refuse(share=1.5), "share must be from 0 to 1"),
        (lambda client: client.getnum(scenario="nonsense"), "no scenario is called"),
        (lambda client: client.client_address("10.0.0.2", "nonsense"), "no scenario is called"),
        (lambda client: client.balance(1, account="C99999999"), "no account is called 'C99999999'"),
        (lambda client: client.rates({"0": 0.7, "2": 0.7}), "sum at most 1"),
    ],
)
def test_the_control_api_refuses_what_it_does_not_know_and_changes_nothing(
    simulator: RunningSimulator, change: object, said: str
) -> None:
    before = simulator.client.state()
    assert callable(change)
    with pytest.raises(SimulatorError, match=said):
        change(simulator.client)
    assert simulator.client.state() | {"connections_opened": 0} == before | {"connections_opened": 0}
    assert reply_code(simulator, signed_form(PLAIN)) == 2


def test_submissions_can_be_followed_from_where_one_stopped(simulator: RunningSimulator) -> None:
    for mobile in (PLAIN, magic_number("0"), PLAIN):
        submit(simulator, mobile)
    client = simulator.client
    assert [seen.mobile for seen in client.submissions(after=1)] == [magic_number("0"), PLAIN]
    assert [len(client.calls()), len(client.submissions(PLAIN)), len(client.submissions(after=3))] == [
        2,
        2,
        0,
    ]
    assert len({call.voice_id for call in client.calls()}) == 2
