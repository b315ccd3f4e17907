"""The testing kit: the client's own code, up to the last command, and nobody is called."""

import asyncio
from typing import Any

import pytest
from voicecode_client import AsyncClient, Client, Duplicate, Refused, Sent, Unavailable
from voicecode_client.testing import VoiceCodes
from voicecode_client.testing import plugin as voicecode_plugin

voicecode = voicecode_plugin.voicecode
MOBILE = "13800138000"
OTHER = "13900139000"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def client(voicecode: VoiceCodes) -> Client:  # noqa: ARG001 - nobody is called
    return Client(NOWHERE)


def send(client: Client, key: str = "k", mobile: str = MOBILE, code: str = "0042", **more: Any) -> Any:
    return client.send(mobile, code, key=key, **more)


def test_a_code_is_sent_and_accepted_without_any_redis(client: Client, voicecode: VoiceCodes) -> None:
    assert client.status("k").state == "unknown"
    with voicecode.expects(mobile="+86 138 0013 8000", purpose="login") as found:
        assert isinstance(send(client, purpose="login"), Sent)
    assert [(code.key, code.code, code.purpose) for code in found] == [("k", "0042", "login")]
    assert voicecode.last_code(MOBILE) == voicecode.last_code() == "0042"
    assert client.status("k").state == "accepted"
    assert send(client) == Duplicate(key="k", state="accepted")
    assert send(client, mobile=OTHER).reason == "key_conflict"


def test_what_was_not_sent_is_told_without_the_number(client: Client, voicecode: VoiceCodes) -> None:
    with (
        pytest.raises(AssertionError, match=r"expected 1 code\(s\) to 138\*\*\*\*8000, and 0 came; 1 went"),
        voicecode.expects(mobile=MOBILE),
    ):
        send(client, mobile=OTHER)
    with (
        pytest.raises(AssertionError, match="expected purpose 'login', not None"),
        voicecode.expects(mobile=MOBILE, purpose="login"),
    ):
        send(client, key="other")
    with pytest.raises(AssertionError, match=r"no code was sent to 137\*\*\*\*0000"):
        voicecode.last_code("13700000000")
    with voicecode.expects(count=0):
        pass
    assert MOBILE not in repr(voicecode.sent)
    assert "0042" not in repr(voicecode.sent)


def test_the_rules_are_the_clients_own(client: Client, voicecode: VoiceCodes) -> None:
    assert send(client, code="42").detail == "code must be 4 to 6 digits"
    assert send(client, mobile="12345").reason == "bad_input"
    assert voicecode.sent == []


def test_fates_can_be_scripted(client: Client, voicecode: VoiceCodes) -> None:
    voicecode.will(4030, mobile=OTHER)
    voicecode.will_time_out()
    send(client, "a")
    send(client, "b", OTHER)
    send(client, "c", OTHER)
    told = [(client.status(key).state, client.status(key).reason) for key in "abc"]
    assert told == [("dead", "ambiguous"), ("dead", "permanent"), ("accepted", "")]
    assert [client.status(key).reply_code for key in "abc"] == [None, 4030, 2]
    assert [client.status(key).offer for key in "abc"] == ["sms", "sms", "voice"]
    with pytest.raises(ValueError, match="no row is called 'time-out'; there are: 2, 4051"):
        voicecode.will("time-out")


def test_an_empty_account_parks_one_code_and_refuses_the_next(client: Client, voicecode: VoiceCodes) -> None:
    voicecode.will(4051)
    send(client, "a")
    refused = send(client, "b")
    assert client.status("a").state == "waiting"
    assert (refused.reason, refused.offer, refused.row) == ("sending_stopped", "sms", "4051")
    client.cancel("a")
    assert client.status("a").state == "cancelled"
    voicecode.sending_resumed()
    assert isinstance(send(client, "b"), Sent)


def test_stopped_sending_and_a_redis_that_is_down(client: Client, voicecode: VoiceCodes) -> None:
    voicecode.sending_stopped(405)
    assert send(client) == Refused(
        key="k",
        reason="sending_stopped",
        detail="nobody can be called at the moment",
        offer="sms",
        row="405",
    )
    voicecode.sending_stopped(retry_after_seconds=30)
    assert send(client).retry_after_seconds == 30
    voicecode.redis_down()
    with pytest.raises(Unavailable, match="the test says"):
        send(client)
    voicecode.redis_down(down=False)
    voicecode.sending_resumed()
    assert isinstance(send(client), Sent)


def test_a_code_that_no_worker_has_seen_is_queued(client: Client, voicecode: VoiceCodes) -> None:
    with voicecode.no_worker():
        send(client)
        assert client.status("k").state == "queued"
        assert send(client) == Duplicate(key="k", state="queued")
    assert client.status("k").state == "accepted"


def test_fates_can_be_followed(client: Client, voicecode: VoiceCodes) -> None:
    send(client, "a")
    voicecode.will(0)
    send(client, "b")
    [first, second] = client.fates()
    assert [(fate.key, fate.state, fate.reason, fate.row) for fate in (first, second)] == [
        ("a", "accepted", "", "2"),
        ("b", "dead", "exhausted", "0"),
    ]
    assert client.fates(first.position) == [second]
    assert client.fates(second.position) == []


def test_sealed_codes_are_known_to_the_test_alone(voicecode: VoiceCodes) -> None:
    client = Client(NOWHERE, seal=lambda *_: "sealed")
    send(client)
    assert voicecode.last_code(MOBILE) == "0042"


def test_asyncio_calls_nobody_either(voicecode: VoiceCodes) -> None:
    async def use() -> str:
        async with AsyncClient(NOWHERE) as client:
            await client.send(MOBILE, "0042", key="k")
            return (await client.status("k")).state

    assert asyncio.run(use()) == "accepted"
    assert voicecode.last_code() == "0042"


def test_it_ends_with_the_test() -> None:
    with pytest.raises(Unavailable):
        Client(NOWHERE).status("k")
