"""Digests under a key, and under two while the key is rotated."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config import names
from config.settings import SettingsError, load
from tests.support.ledger_driver import MOBILE, LedgerDriver
from worker.embedded.server import Server
from worker.ledger.claim import Answer
from worker.message import Refused, VoiceCode
from worker.sending.numbers import Numbers
from worker.store.digests import Digests

OLD, NEW = "the key of last year", "the key of this year"
WITHOUT_KEY = (hashlib.sha1, hashlib.md5, hashlib.sha256, hashlib.blake2b)


@pytest.fixture
def open_with(server: Server) -> Iterator[Callable[..., LedgerDriver]]:
    """Return a driver with these keys of the digests, the newest first."""
    with server.client() as client:
        client.flushall()
    drivers: list[LedgerDriver] = []

    def open_(*secrets: str, **values: Any) -> LedgerDriver:
        drivers.append(LedgerDriver(server.url, digest_key=",".join(secrets) or None, **values))
        return drivers[-1]

    yield open_
    for driver in drivers:
        driver.close()


def test_a_digest_names_its_key(server: Server) -> None:
    with server.client() as client:
        one, two = (Digests(client, load(_env_file=None, digest_key=key)) for key in (OLD, NEW))
        both = Digests(client, load(_env_file=None, digest_key=f"{NEW},{OLD}"))

    assert one.number(MOBILE) != two.number(MOBILE)
    assert both.number(MOBILE) == f"{two.number(MOBILE)} {one.number(MOBILE)}"
    assert both.is_current(one.content(MOBILE, "0042"))
    assert not two.is_current(one.content(MOBILE, "0042"))
    assert both.name("x") == one.name("x") != two.name("x")


@pytest.mark.parametrize("keys", ["short", f"{OLD},short", f"{OLD},{NEW},{OLD}", f"{OLD},"])
def test_keys_that_are_short_or_too_many_are_refused(keys: str) -> None:
    with pytest.raises(SettingsError, match="DIGEST_KEY"):
        load(_env_file=None, digest_key=keys)


@pytest.mark.parametrize("state", ["waiting", "dead", "accepted"])
def test_through_a_rotation_a_duplicate_is_known_and_a_conflict_told(
    open_with: Callable[..., LedgerDriver], state: str
) -> None:
    before, during, after = open_with(OLD), open_with(NEW, OLD), open_with(NEW)
    code = before.code()
    before.in_state(state)

    for driver in (before, during, after):
        same, other = driver.claim(code=code).answer, driver.claim(code=driver.code(code="7777")).answer
        assert same is not Answer.CONFLICT
        # Under a key that is not there, only what is held can be compared.
        told = driver is not after or state != "accepted"
        assert (other is Answer.CONFLICT) == told


def test_under_an_unknown_key_a_code_that_is_gone_is_a_duplicate(
    open_with: Callable[..., LedgerDriver],
) -> None:
    open_with(OLD).in_state("accepted")

    assert open_with(NEW).claim(code=open_with(NEW).code(code="7777")).answer is Answer.ACCEPTED


def test_a_refused_message_is_known_through_a_rotation(open_with: Callable[..., LedgerDriver]) -> None:
    refused = Refused(key="k", reason="wrong", mobile=MOBILE, raw=f'[["{MOBILE}", 42]]')
    first = open_with(OLD).refuse(refused)
    again = open_with(NEW, OLD).refuse(refused)

    assert [answer.value for answer, _ in (first, again)] == ["new", "known"]


def test_while_the_key_is_rotated_a_number_has_one_budget(open_with: Callable[..., LedgerDriver]) -> None:
    """Workers of the old key, of both and of the new one see the same submissions."""
    before, during, after = (
        open_with(*keys, number_per_minute=3, retry_gap_seconds=0) for keys in ((OLD,), (NEW, OLD), (NEW,))
    )

    def claim(driver: LedgerDriver, key: str) -> Answer:
        return driver.claim(key=key, token=f"token-of-{key}").answer

    answers = [claim(driver, f"k{i}") for i, driver in enumerate((before, during, during))]

    assert answers == [Answer.CALL] * 3
    assert claim(before, "k3") is claim(during, "k4") is Answer.LIMITED
    assert Numbers(during.client, during.settings).show(MOBILE).submissions == 3
    assert claim(after, "k5") is Answer.CALL, "of the first three, two were counted under the new key"
    assert claim(after, "k6") is claim(during, "k7") is Answer.LIMITED
    assert Numbers(after.client, after.settings).show(MOBILE).submissions == 3


def test_a_newer_code_supersedes_through_a_rotation(open_with: Callable[..., LedgerDriver]) -> None:
    before, during = open_with(OLD), open_with(NEW, OLD)
    first = before.claim(code=before.code("first", purpose="login"))
    before.retry(first, 1)
    during.claim(code=during.code("second", "7777", life=400, purpose="login"))
    before.later(2)

    assert before.resume("first").reason == "superseded"


def test_no_name_and_no_value_is_a_digest_without_a_key(open_with: Callable[..., LedgerDriver]) -> None:
    """Codes of every state, a refused message, an unreadable one: what is made of them is keyed."""
    driver = open_with(OLD)
    for state in ("calling", "waiting", "dead", "accepted", "replayed"):
        driver.claim(code=driver.code(state, purpose="login")) if state == "calling" else driver.in_state(
            state, state
        )
    raw = f'[["{MOBILE}", 42]]'
    driver.refuse(Refused(key="refused", reason="wrong", mobile=MOBILE, raw=raw))
    everything = dumped(driver.client)

    guesses = {MOBILE, f"{MOBILE} ", f"{MOBILE} login", f"{MOBILE}\0" + "0042", f"{MOBILE}0042", raw, "0042"}
    for guess in guesses:
        for algorithm in WITHOUT_KEY:
            assert algorithm(guess.encode()).hexdigest()[:20] not in everything
        sized = hashlib.blake2b(guess.encode(), digest_size=16).hexdigest()
        assert sized not in everything
    assert driver.ledger.digests.number(MOBILE) in everything


def dumped(client: Any) -> str:
    """Return every name and every value."""
    texts = []
    for name in client.keys("*"):
        kind = client.type(name)
        command = {"string": "get", "hash": "hgetall", "set": "smembers", "stream": "xrange"}.get(kind)
        found = getattr(client, command)(name) if command else client.sort(name, by="nosort")
        texts += [name, str(found)]
    return "\n".join(texts)


def test_dead_letters_count_numbers_by_digests(open_with: Callable[..., LedgerDriver]) -> None:
    driver = open_with(OLD)
    for key in ("a", "b"):
        driver.in_state("dead", key)
    other = VoiceCode(key="c", mobile="13911112222", code="0042", expires_at=driver.now + 300)
    driver.bury(driver.claim(code=other))
    buckets: Any = driver.client.keys(f"{names.DEAD_BY_PREFIX}numbers:*")
    fields: list[Any] = [field for name in buckets for field in driver.client.hkeys(name)]

    assert sorted(fields) == sorted(driver.ledger.digests.number(mobile) for mobile in (MOBILE, other.mobile))
    assert driver.client.hget(f"{names.DEAD_BY_PREFIX}counts", "numbers") == "2"
    assert driver.replay("a", superseded=True) == driver.replay("b") == "replayed"
    assert driver.client.hget(f"{names.DEAD_BY_PREFIX}counts", "numbers") == "1"
