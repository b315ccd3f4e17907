"""The seals: what opens, for whom, and RFC 9180's own vector."""

import base64
import hmac
import json

import pytest
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings, SettingsError, load
from worker.message import BadInput
from worker.sealing import SealKeyGone, Seals, Unsealable, new_key, opened, seals_of
from worker.sealing.seals import PAIR_BYTES, has_form

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
    assert len(sealed) == len(one.seal(MOBILE, "123456", key="k"))


def test_a_pair_cannot_be_moved_to_another_key() -> None:
    one = seals(NEW)
    with pytest.raises(Unsealable, match="another key"):
        one.open(one.seal(MOBILE, CODE, key="mine"), key="yours")


def test_a_changed_pair_does_not_open() -> None:
    one = seals(NEW)
    key_id, _, text = one.seal(MOBILE, CODE, key="k").partition(".")
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


def extract(salt: bytes, label: str, ikm: bytes, suite: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label.encode() + ikm, "sha256")


def expand(secret: bytes, label: str, info: bytes, length: int, suite: bytes) -> bytes:
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label.encode() + info
    return HKDFExpand(hashes.SHA256(), length, labeled).derive(secret)


def open_by_the_rfc(private: bytes, sealed: bytes, info: bytes, aad: bytes = b"") -> bytes:
    """Open by RFC 9180's own steps, with nothing of the library's HPKE: 4.1, 5.1, 5.2."""
    kem, suite = b"KEM" + bytes.fromhex("0020"), b"HPKE" + bytes.fromhex("002000010003")
    key, enc = x25519.X25519PrivateKey.from_private_bytes(private), sealed[:32]
    shared = key.exchange(x25519.X25519PublicKey.from_public_bytes(enc))
    context = enc + key.public_key().public_bytes_raw()
    secret = expand(extract(b"", "eae_prk", shared, kem), "shared_secret", context, 32, kem)
    hashed = [extract(b"", label, part, suite) for label, part in (("psk_id_hash", b""), ("info_hash", info))]
    schedule = b"\0" + b"".join(hashed)
    secret = extract(secret, "secret", b"", suite)
    aead = ChaCha20Poly1305(expand(secret, "key", schedule, 32, suite))
    return aead.decrypt(expand(secret, "base_nonce", schedule, 12, suite), sealed[32:], aad)


def test_the_rfcs_own_vector_opens_and_so_does_what_we_seal() -> None:
    """RFC 9180, A.2.1: base mode, the first encryption. The one-shot interface takes no `aad`."""
    private = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    sealed = bytes.fromhex(
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )
    assert open_by_the_rfc(private, sealed, b"Ode on a Grecian Urn", b"Count-0") == (
        b"Beauty is truth, truth beauty"
    )

    ours = seals(f"rfc:{base64.urlsafe_b64encode(private).decode()}")
    text = ours.seal(MOBILE, CODE, key="login:1").partition(".")[2]
    pair = open_by_the_rfc(
        private,
        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)),
        b"voicecode/1 send_voice_code login:1",
    )
    assert json.loads(pair) == [MOBILE, CODE]
