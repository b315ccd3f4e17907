"""The seals: what opens, for whom, and RFC 9180's own vector."""

import base64
import json
import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import x25519
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings, SettingsError, load
from worker.message import BadInput
from worker.sealing import SealKeyGone, Seals, Unsealable, context, new_key, opened, seals_of
from worker.sealing.seals import PAIR_BYTES, _library, has_form

OLD, NEW = (
    f"{name}:{base64.urlsafe_b64encode(name.encode() * 5)[:43].decode()}" for name in ("2025-11", "2026-11")
)
MOBILE, CODE = "13800138000", "0042"


def seals(*keys: str) -> Seals:
    found = seals_of(load(_env_file=None, seal_keys=",".join(keys)))
    assert found is not None
    return found


@given(
    mobile=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), code=st.from_regex(r"[0-9]{4,6}", fullmatch=True)
)
def test_what_was_sealed_opens_as_it_was(mobile: str, code: str) -> None:
    one = seals(NEW)
    sealed = one.seal(mobile, code, key="k")

    assert one.open(sealed, key="k") == (mobile, code)
    assert mobile not in sealed
    assert has_form(sealed)
    # A code of four digits looks like one of six.
    other = one.seal(MOBILE, "123456", key="k")
    assert len(sealed.rpartition(".")[2]) == len(other.rpartition(".")[2])


def test_a_pair_cannot_be_moved_to_another_key() -> None:
    one = seals(NEW)
    with pytest.raises(Unsealable, match="another key"):
        one.open(one.seal(MOBILE, CODE, key="mine"), key="yours")


def test_a_changed_pair_does_not_open() -> None:
    one = seals(NEW)
    key_id, _, text = one.seal(MOBILE, CODE, key="k").rpartition(".")
    for place in (0, 40, 60, len(text) - 1):
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(Unsealable) as caught:
            one.open(f"{key_id}.{text[:place]}{other}{text[place + 1 :]}", key="k")
        assert not caught.value.key_is_gone
        assert MOBILE not in str(caught.value)


def test_the_newest_key_seals_and_each_opens() -> None:
    before, during, after = seals(OLD), seals(NEW, OLD), seals(NEW)
    sealed = before.seal(MOBILE, CODE, key="k")

    assert during.newest == "2026-11"
    assert during.open(sealed, key="k") == (MOBILE, CODE)
    assert after.open(during.seal(MOBILE, CODE, key="k"), key="k") == (MOBILE, CODE)
    with pytest.raises(Unsealable) as caught:
        after.open(sealed, key="k")
    assert caught.value.key_is_gone


def test_a_producer_needs_the_public_key_and_a_few_lines() -> None:
    """As docs/producing.md has them."""
    one = seals(NEW)
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    public = x25519.X25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(one.public("2026-11") + "="))
    pair = json.dumps([MOBILE, CODE]).encode().ljust(PAIR_BYTES)
    sealed = suite.encrypt(pair, public, info=b"voicecode/1 send_voice_code login:1")
    text = "2026-11." + base64.urlsafe_b64encode(sealed).decode()

    _, given_ = opened((), {"sealed": text, "key": "login:1", "purpose": "p"}, one)
    assert given_ == {"key": "login:1", "purpose": "p", "mobile": MOBILE, "code": CODE}


def test_what_was_not_sealed_stays_as_it_is() -> None:
    assert opened((MOBILE, CODE), {"key": "k"}, None) == ((MOBILE, CODE), {"key": "k"})


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((MOBILE,), {"key": "k"}, "in place of mobile"),
        ((), {"key": "k", "code": CODE}, "in place of mobile"),
        ((), {}, "needs a key"),
        ((), {"key": "k", "sealed": "x"}, "the id of a key, a dot"),
        ((), {"key": "k", "sealed": 42}, "the id of a key, a dot"),
        ((), {"key": "k", "sealed": "2026-11." + "A" * 100}, "cannot be opened"),
    ],
)
def test_a_sealed_message_that_is_wrong_is_bad_input(
    args: tuple[str, ...], kwargs: dict[str, object], text: str
) -> None:
    one = seals(NEW)
    with pytest.raises(BadInput, match=text):
        opened(args, {"sealed": one.seal(MOBILE, CODE, key="k"), **kwargs}, one)


@pytest.mark.parametrize("other", [None, OLD])
def test_a_message_whose_key_is_not_here_says_so(other: str | None) -> None:
    sealed = seals(NEW).seal(MOBILE, CODE, key="k")
    with pytest.raises(SealKeyGone):
        opened((), {"sealed": sealed, "key": "k"}, seals(other) if other else None)


@pytest.mark.parametrize("keys", ["x", "a:b", f"{NEW},{NEW}", f"under_score:{NEW.partition(':')[2]}"])
def test_wrong_keys_are_refused_without_being_shown(keys: str) -> None:
    with pytest.raises(SettingsError, match="VOICECODE_SEAL_KEYS") as caught:
        load(_env_file=None, seal_keys=keys)
    assert NEW.partition(":")[2] not in str(caught.value)


def test_a_new_key_is_another_one_each_time() -> None:
    (one, public), (two, _) = new_key(), new_key()
    assert one != two
    assert seals(f"new:{one}").public("new") == public


def test_keys_never_show_in_a_repr() -> None:
    settings: Settings = load(_env_file=None, seal_keys=NEW)
    assert NEW.partition(":")[2] not in repr(settings)


def rfc(number: int, aad: bytes, sealed: str) -> bytes:
    """Open RFC 9180's vector A.2.1 with our context."""
    private = x25519.X25519PrivateKey.from_private_bytes(
        bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    )
    encapsulated = bytes.fromhex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
    shared = context.recipient(_library(), private, encapsulated, b"Ode on a Grecian Urn")
    return shared.open(number, bytes.fromhex(sealed), aad)


def test_the_rfcs_own_vectors_open() -> None:
    """The first two encryptions of base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305."""
    text = b"Beauty is truth, truth beauty"
    first = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    second = "6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c"

    assert rfc(0, b"Count-0", first) == rfc(1, b"Count-1", second) == text
    with pytest.raises(InvalidTag):
        rfc(1, b"Count-1", first)


def test_our_context_is_the_librarys_one_shot() -> None:
    """What the library seals in one shot is a context's first pair, without associated data."""
    private = x25519.X25519PrivateKey.generate()
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    sealed = suite.encrypt(b"text", private.public_key(), info=b"info")
    assert context.recipient(_library(), private, sealed[:32], b"info").open(0, sealed[32:], b"") == b"text"

    ours = context.sender(_library(), private.public_key(), b"info")
    number, text = ours.seal(b"text", b"")
    assert number == 0
    assert suite.decrypt(ours.encapsulated + text, private, info=b"info") == b"text"


def test_no_number_of_a_context_is_used_twice_not_even_after_a_fork() -> None:
    one = seals(NEW)
    before = {one.seal(MOBILE, CODE, key="k").rsplit(".", 1)[0] for _ in range(100)}
    assert len(before) == 100
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, one.seal(MOBILE, CODE, key="k").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs, mine = os.read(reading, 1_000).decode(), one.seal(MOBILE, CODE, key="k")

    assert theirs.rsplit(".", 1)[1][:40] != mine.rsplit(".", 1)[1][:40]
    assert one.open(theirs, key="k") == one.open(mine, key="k") == (MOBILE, CODE)
