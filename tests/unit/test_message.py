"""What a producer may send, and what it hears of what it may not."""

import json
import re
import uuid
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.settings import Settings, load
from worker.message import (
    RAW_CAP_BYTES,
    BadInput,
    VoiceCode,
    is_key,
    normalise_mobile,
    parse,
    refuse,
    safe_id,
)
from worker.store.digests import Digests

NOW: Final = 1_800_000_000.0
SETTINGS: Final = Settings(_env_file=None)
MOBILES: Final = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
CODES: Final = st.from_regex(r"[0-9]{4,6}", fullmatch=True)

DIGESTS = Digests(None, load(_env_file=None, digest_key="a key of the tests"))


def namer(text: str) -> str:
    return DIGESTS.name(text)


def parsed(*args: Any, settings: Settings = SETTINGS, task_id: str = "task-1", **kwargs: Any) -> VoiceCode:
    return parse(args, kwargs, task_id=task_id, namer=namer, now=NOW, settings=settings)


def why(*args: Any, settings: Settings = SETTINGS, **kwargs: Any) -> str:
    with pytest.raises(BadInput) as caught:
        parsed(*args, settings=settings, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "+8613800138000",
        "+86 138 0013 8000",
        "+86-138-0013-8000",
        "86 13800138000",
        "008613800138000",
        "0086 138-0013-8000",
        " 138 0013 8000 ",
        "1 3 8 0 0 1 3 8 0 0 0",
    ],
)
def test_a_number_is_read_however_people_write_it(written: str) -> None:
    assert normalise_mobile(written) == "13800138000"


@given(mobile=MOBILES, prefix=st.sampled_from(["", "+86", "86", "0086", "+86 ", "0086-"]), data=st.data())
def test_spaces_dashes_and_the_prefix_never_change_a_number(
    mobile: str, prefix: str, data: st.DataObject
) -> None:
    """Also a number whose own digits read `86` or `0086` somewhere."""
    gaps = data.draw(st.lists(st.sampled_from(["", "", " ", "-"]), min_size=11, max_size=11))
    assert (
        normalise_mobile(prefix + "".join(gap + digit for gap, digit in zip(gaps, mobile, strict=True)))
        == mobile
    )


@pytest.mark.parametrize("mobile", ["13800860086", "18600861234", "15086008613"])
def test_a_number_that_holds_the_country_code_inside_is_left_whole(mobile: str) -> None:
    assert normalise_mobile(mobile) == mobile


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1380013800",
        "138001380000",
        "12800138000",
        "23800138000",
        "+1 2025550123",
        "+852 61234567",
        "86861380013800",
        "+8686 13800138000",
        "138+8600138000",
        "1380086138000 86",
        "13800138000,13900139000",
        "13800138000\x00",
        "(138)00138000",
        "１３８００１３８０００",
        "1380013800o",
        "+",
    ],
)
def test_what_is_no_mainland_number_is_refused(written: str) -> None:
    assert why(written, "0042").startswith("mobile is not a mainland number")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (13800138000, "int"),
        (None, "null"),
        (True, "bool"),
        (["13800138000"], "list"),
        (1.5, "float"),
        ({}, "dict"),
    ],
)
def test_a_number_of_another_type_is_refused_by_the_name_of_its_type(value: Any, kind: str) -> None:
    assert why(value, "0042") == f"mobile must be a string, not {kind}"


@given(code=CODES)
def test_a_code_keeps_its_leading_zeros(code: str) -> None:
    assert parsed("13800138000", code).code == code


@pytest.mark.parametrize(
    "code",
    ["", "123", "1234567", "12a4", " 1234", "1234 ", "12 34", "1234\n", "-1234", "١٢٣٤", "１２３４", "0x12"],
)
def test_what_is_not_four_to_six_digits_is_refused(code: str) -> None:
    assert why("13800138000", code) == "code must be 4 to 6 digits"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234, "code must be a string, not a number: 1234 may have been 01234"),
        (None, "code must be a string, not null"),
        (True, "code must be a string, not bool"),
        (1234.0, "code must be a string, not float"),
        (["1234"], "code must be a string, not list"),
    ],
)
def test_a_code_of_another_type_is_refused(value: Any, text: str) -> None:
    assert why("13800138000", value) == text


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "missing 2 required positional arguments: 'mobile' and 'code'"),
        (("13800138000",), {}, "missing 1 required positional argument: 'code'"),
        (("13800138000", "0042", "k"), {}, "takes 2 positional arguments but 3 were given"),
        (("13800138000", "0042"), {"code": "0042"}, "got multiple values for argument 'code'"),
        (("13800138000", "0042"), {"secret48291": 1}, "an unexpected keyword argument"),
    ],
)
def test_wrong_arguments_are_named_and_the_right_ones_shown(
    args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    reason = why(*args, **kwargs)
    assert reason.startswith(f"wrong arguments: {text}; expected (mobile: str, code: str, *, key")
    assert "48291" not in reason


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("", "key must be 1 to 128 of the characters"),
        ("k" * 129, "key must be 1 to 128 of the characters"),
        ("login 1", "key must be 1 to 128 of the characters"),
        ("login\n", "key must be 1 to 128 of the characters"),
        ("登录", "key must be 1 to 128 of the characters"),
        ('a"b', "key must be 1 to 128 of the characters"),
        (7, "key must be a string, not int"),
        ("login:13800138000", "key holds a mobile number"),
        ("8613800138000", "key holds a mobile number"),
        ("phone13800138000", "key holds a mobile number"),
        ("13800138000:1", "key holds a mobile number"),
        ("138001380000042", "key holds a mobile number"),
        ("138001380001735689600", "key holds a mobile number"),
        ("138.0013.8000", "key holds a mobile number"),
        ("1-3800-138-000", "key holds a mobile number"),
        ("login:7:13800138000004217", "key holds a mobile number"),
    ],
)
def test_a_key_of_a_wrong_form_is_refused(key: Any, text: str) -> None:
    assert why("13800138000", "0042", key=key).startswith(text)


@given(st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True))
def test_a_key_of_the_right_form_is_taken_as_it_is(key: str) -> None:
    assume(not re.search(r"1[3-9][0-9]{9}", key))
    assert parsed("13800138000", "0042", key=key).key == key


@pytest.mark.parametrize(
    "identity", ["f2a1c0de-0000-4000-8000-a13800138000", "F2A1C0DE-0000-4000-8000-13800138000A"]
)
def test_a_uuid_that_looks_as_if_it_held_a_number_is_a_key(identity: str) -> None:
    """One UUID in thousands does: web apps with UUIDs as session ids must not lose codes."""
    for key in (identity, f"login:{identity}:1", identity.replace("-", "")):
        assert parsed("13800138000", "0042", key=key).key == key
    assert parsed("13800138000", "0042", task_id=identity).key == identity


@given(st.uuids())
def test_every_uuid_is_a_key(identity: uuid.UUID) -> None:
    assert is_key(str(identity))
    assert is_key(identity.hex)


@given(st.text(max_size=40) | st.integers() | st.none())
def test_any_task_id_becomes_a_key_that_holds_no_number(task_id: Any) -> None:
    assert is_key(safe_id(task_id, namer))
    assert safe_id(task_id, namer) == safe_id(task_id, namer)


@pytest.mark.parametrize("key", ["order:20260131031207123456", "user:1838001380012345678", "1735689600123"])
def test_times_and_order_numbers_are_keys(key: str) -> None:
    """A key that is refused is a code that is not called."""
    assert parsed("13800138000", "0042", key=key).key == key


def test_a_task_id_that_holds_the_number_is_not_the_key() -> None:
    assert parsed("13800138000", "0042", task_id="13800138000004217").key.startswith("id:")


def test_a_task_id_that_is_a_number_is_not_shown() -> None:
    assert "13800138000" not in parsed("13800138000", "0042", task_id="13800138000").key


@pytest.mark.parametrize("value", [NOW + 300, int(NOW) + 300, NOW - 5, 1, NOW + SETTINGS.max_ttl_seconds])
def test_a_moment_within_the_longest_life_is_taken_past_ones_too(value: float) -> None:
    """A code that came too late is a dead letter `expired`, not bad input."""
    assert parsed("13800138000", "0042", expires_at=value).expires_at == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((NOW + 300) * 1000, "expires_at is in milliseconds"),
        (10**400, "expires_at is in milliseconds"),
        (NOW + SETTINGS.max_ttl_seconds + 1, "expires_at is more than VOICECODE_MAX_TTL_SECONDS (3600) away"),
        (float("nan"), "expires_at must be a positive number"),
        (float("inf"), "expires_at must be a positive number"),
        (float("-inf"), "expires_at must be a positive number"),
        (0, "expires_at must be a positive number"),
        (-1, "expires_at must be a positive number"),
        (True, "expires_at must be a number of epoch seconds, not bool"),
        ("1800000300", "expires_at must be a number of epoch seconds, not str"),
        ([NOW], "expires_at must be a number of epoch seconds, not list"),
    ],
)
def test_a_moment_that_cannot_be_meant_is_refused(value: Any, text: str) -> None:
    assert why("13800138000", "0042", expires_at=value).startswith(text)


def test_a_moment_may_be_made_compulsory() -> None:
    strict = Settings(_env_file=None, require_expires_at=True)
    assert "VOICECODE_REQUIRE_EXPIRES_AT" in why("13800138000", "0042", settings=strict)
    assert parsed("13800138000", "0042", settings=strict, expires_at=NOW + 1).expires_at == NOW + 1


@pytest.mark.parametrize("purpose", ["", "p" * 65, "log in", 7, "to:13800138000"])
def test_a_purpose_of_a_wrong_form_is_refused(purpose: Any) -> None:
    assert why("13800138000", "0042", purpose=purpose).startswith("purpose must be 1 to 64 of the characters")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | MOBILES | CODES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["mobile", "code", "key", "expires_at", "purpose"]) | st.text(max_size=8)


@given(args=st.lists(JSON_VALUES, max_size=3), kwargs=st.dictionaries(NAMES, JSON_VALUES, max_size=4))
def test_whatever_arrives_is_a_voice_code_or_bad_input(args: list[Any], kwargs: dict[str, Any]) -> None:
    """No other exception is raised; a refusal can be described without showing a number."""
    try:
        code = parse(args, kwargs, task_id="task-1", namer=namer, now=NOW, settings=SETTINGS)
    except BadInput as error:
        refused = refuse(args, kwargs, own_id="task-1", reason=str(error))
        assert is_key(refused.key)
        assert len(refused.raw) <= RAW_CAP_BYTES
        assert re.fullmatch(r"(1[3-9][0-9]{9})?", refused.mobile)
    else:
        assert re.fullmatch(r"1[3-9][0-9]{9}", code.mobile)
        assert re.fullmatch(r"[0-9]{4,6}", code.code)
        assert is_key(code.key)


@pytest.mark.parametrize("field", ["mobile", "code", "key", "expires_at", "purpose"])
@given(
    digits=st.from_regex(r"[5-9]{7,10}", fullmatch=True),
    shape=st.sampled_from(["{}", "x{}", "{} ", "+{}", "[{}]"]),
)
def test_a_reason_never_repeats_a_value(field: str, digits: str, shape: str) -> None:
    values: dict[str, Any] = {"mobile": "13800138000", "code": "0042", "key": "k", "purpose": "p"}
    values[field] = shape.format(digits) if field not in {"key", "purpose"} else shape.format(digits) + "\x00"
    reason = why(**values)
    assert digits not in reason
    assert "13800138000" not in reason


def test_a_refused_message_keeps_what_could_be_read_of_it() -> None:
    refused = refuse(("+86 138 0013 8000", 1234), {"key": "login:7"}, own_id="task-1", reason="r")
    assert (refused.key, refused.mobile) == ("login:7", "13800138000")
    assert json.loads(refused.raw) == [["+86 138 0013 8000", 1234], {"key": "login:7"}]


def test_a_refused_message_with_a_bad_key_is_filed_under_its_task_id() -> None:
    assert (
        refuse(("13800138000", "0042"), {"key": "13800138000"}, own_id="task-1", reason="r").key == "task-1"
    )


def test_neither_number_nor_code_shows_in_a_repr() -> None:
    code = parsed("13800138000", "48291", key="k")
    refused = refuse(("13800138000", 48291), {}, own_id="task-1", reason="r")
    for text in (repr(code), repr(refused), repr(code.log_context())):
        assert "13800138000" not in text
        assert "48291" not in text
    assert code.log_context()["mobile"] == "138****8000"
