"""What is written to the gateway."""

import hashlib
from urllib.parse import parse_qs

from pydantic import SecretStr

from worker.gateway.form import Forms
from worker.message import VoiceCode

CODE = VoiceCode(key="k", mobile="13800138000", code="0042")
NOW = 1_760_000_000.9


def _fields(form: bytes) -> dict[str, list[str]]:
    return parse_qs(form.decode("ascii"), strict_parsing=True)


def _signed(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_the_plain_key_goes_without_a_time() -> None:
    form = Forms("api id", SecretStr("键&=+"), dynamic=False).submit(CODE, now=NOW)
    assert _fields(form) == {
        "account": ["api id"],
        "password": ["键&=+"],
        "mobile": ["13800138000"],
        "content": ["0042"],
        "format": ["json"],
    }


def test_the_dynamic_password_signs_account_key_number_code_and_time() -> None:
    fields = _fields(Forms("api", SecretStr("key"), dynamic=True).submit(CODE, now=NOW))
    assert fields["time"] == ["1760000000"]
    assert fields["password"] == [_signed("apikey1380013800000421760000000")]


def test_the_dynamic_password_of_a_balance_query_signs_account_key_and_time() -> None:
    fields = _fields(Forms("api", SecretStr("key"), dynamic=True).balance(now=NOW))
    assert fields == {
        "account": ["api"],
        "password": [_signed("apikey1760000000")],
        "time": ["1760000000"],
        "format": ["json"],
    }


def test_a_signature_is_made_afresh() -> None:
    forms = Forms("api", SecretStr("key"), dynamic=True)
    assert forms.submit(CODE, now=NOW) != forms.submit(CODE, now=NOW + 1)


def test_what_was_sent_is_taken_out_of_a_text() -> None:
    assert (
        Forms("api", SecretStr("key"), dynamic=False).hide("key for 0042 is wrong", "0042")
        == "**** for **** is wrong"
    )


def test_nothing_secret_shows_in_repr() -> None:
    assert "secret-key" not in repr(vars(Forms("api", SecretStr("secret-key"), dynamic=False)))
