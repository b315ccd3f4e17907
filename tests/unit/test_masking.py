"""No number in full survives, wherever it stands."""

import base64
import json
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.masking import (
    REDACTED,
    holds_mobile,
    holds_number,
    mask_foreign_text,
    mask_id,
    mask_mobile,
    mask_raw,
    mask_text,
)

MOBILES: Final = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
CODES: Final = st.from_regex(r"[0-9]{4,6}", fullmatch=True)
GAPS: Final = st.sampled_from(["", "", "", " ", "-"])
SURROUNDINGS: Final = st.text(max_size=20)


@given(MOBILES)
def test_a_number_shows_its_first_three_and_last_four_digits(mobile: str) -> None:
    assert mask_mobile(mobile) == f"{mobile[:3]}****{mobile[7:]}"


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("1380013800", REDACTED), ("12800138000", REDACTED), ("0042", REDACTED)]
)
def test_what_is_no_number_is_removed_whole(text: str, shown: str) -> None:
    assert mask_mobile(text) == shown


@given(
    mobile=MOBILES,
    prefix=st.sampled_from(["", "+86", "86", "0086", "+86 ", "+86-", "86 "]),
    before=SURROUNDINGS.filter(lambda text: not text[-1:].isdecimal()),
    after=SURROUNDINGS.filter(lambda text: not text[:1].isdecimal()),
    gaps=st.lists(GAPS, min_size=10, max_size=10),
)
def test_no_number_survives_in_any_surrounding(
    mobile: str, prefix: str, before: str, after: str, gaps: list[str]
) -> None:
    """However it is spaced, with or without the country code."""
    spaced = mobile[0] + "".join(gap + digit for gap, digit in zip(gaps, mobile[1:], strict=True))
    masked = mask_text(f"{before}{prefix}{spaced}{after}")
    assert spaced not in masked
    assert mobile not in masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call 13800138000 now", "call 138****8000 now"),
        ("+8613800138000", "+86138****8000"),
        ("+86138 0013 8000", "+86138****8000"),
        ("+86 138-0013-8000", "+86 138****8000"),
        ("mobile=13800138000&content=x", "mobile=138****8000&content=x"),
        ("mobile=%2013800138000", "mobile=%20138****8000"),
        ("%2B8613800138000", "%2B86138****8000"),
        (r'"\u624213800138000"', r'"\u6242138****8000"'),
        ("拨打13800138000失败", "拨打138****8000失败"),
        ("('13800138000',)", "('138****8000',)"),
        ("a13800138000b", "a138****8000b"),
        ("13800138000 13900139000", "138****8000 139****9000"),
        ("a%2013800138000", "a%20138****8000"),
        ("password=0123456789abcdef0123456789abcdef", f"password={REDACTED}"),
    ],
)
def test_what_is_left_can_still_be_read(text: str, shown: str) -> None:
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "16842079209571524017",
        "f2a1c0de-0000-4000-8000-a23800138000",
        "2026-11-22T12:49:49.644675Z",
        "elapsed 0.0112",
        "127.0.0.1:6379",
        "138****8000",
    ],
)
def test_ids_times_and_masked_numbers_stay_as_they_are(text: str) -> None:
    assert mask_text(text) == text


@given(
    code=CODES,
    before=st.sampled_from(
        [
            "",
            " ",
            "'",
            '"',
            "=",
            "(",
            "[",
            ":",
            "_",
            "+",
            "code ",
            "验证码",
            "，",
            r"a\n",
            r"a\t",
            r"\u624a",
            "a.",
        ]
    ),
    after=st.sampled_from(
        ["", " ", "'", '"', "&", ")", "]", ",", ".", ". ", "_", "!", "已发送", "。", "\n", r"\n"]
    ),
)
def test_a_free_standing_code_is_removed_from_the_texts_of_others(code: str, before: str, after: str) -> None:
    assert mask_foreign_text(f"{before}{code}{after}") == f"{before}****{after}"


@pytest.mark.parametrize(
    "text",
    [
        "redis://:****@redis.internal:6379/0",
        "http://127.0.0.1:18080/webservice/voice.php",
        "Error 111 connecting to 127.0.0.1:26003. Connection refused.",
        "object at 0x7f3a45678901",
        "took 12.3456 s",
        "python 3.11.12345",
    ],
)
def test_ports_addresses_and_fractions_stay_in_the_texts_of_others(text: str) -> None:
    assert mask_foreign_text(text) == text


def test_a_code_behind_an_escape_is_removed() -> None:
    assert "0042" not in mask_foreign_text("content=%200042&x")


@given(st.text() | st.text(alphabet="0123456789+- *86%u\\.:/abcf"))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)
    assert mask_foreign_text(mask_foreign_text(text)) == mask_foreign_text(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("138001380000042", "138****80000042"),
        ("13800138000" + "1735689600", "138****80001735689600"),
        ("8613800138000" + "1735689600123", "86138****80001735689600123"),
        ("138.0013.8000", "138****8000"),
        ("138_0013_8000", "138****8000"),
    ],
)
def test_a_number_with_digits_behind_it_or_in_groups_is_masked(text: str, shown: str) -> None:
    assert mask_text(f"key {text}.") == f"key {shown}."
    assert mask_id(text) == shown


@pytest.mark.parametrize(
    "identity",
    [
        "login:13800138000",
        "login:138001380000042",
        "138.0013.8000",
        "138-0013-8000-1",
        "login:86138:0013:8000",
        "138001380001735689600",
        "13800138000:1735689600",
        "phone13800138000",
        "1380013800042",
    ],
)
def test_an_id_that_holds_a_number_is_found(identity: str) -> None:
    assert holds_mobile(identity)


@pytest.mark.parametrize(
    "identity",
    [
        "f2a1c0de-0000-4000-8000-a13800138000",
        "f2a1c0de000040008000a13800138000",
        "9f13800138000c4d",
        "login:42:1735689600",
        "login:42:1735689600123",
        "login:1735689600.123",
        "login-1735689600-1",
        "order:20260131031207123456",
        "user:1838001380012345678:3",
        "16842079209571524017",
        "10.138.0.13",
        "login:00007502",
    ],
)
def test_ids_in_use_hold_no_number(identity: str) -> None:
    """A key that is refused is a code that is not called: times and order numbers must pass."""
    assert not holds_mobile(identity)
    assert mask_id(identity) == identity


@given(mobile=MOBILES, before=st.from_regex(r"[0-9a-z:]{0,8}", fullmatch=True), data=st.data())
def test_the_messages_own_number_is_found_however_it_is_written(
    mobile: str, before: str, data: st.DataObject
) -> None:
    gaps = data.draw(st.lists(st.sampled_from(["", "", ".", "-", ":"]), min_size=11, max_size=11))
    spelled = "".join(gap + digit for gap, digit in zip(gaps, mobile, strict=True))
    assert holds_number(f"{before}{spelled}42", mobile)
    assert holds_number(f"{mobile}9f3a1b2c", mobile)
    assert not holds_number("login:00007502:1735689600123", mobile)


@given(mobile=MOBILES, code=CODES, body=st.sampled_from(["base64", "text", "escaped"]))
def test_the_shape_of_a_message_tells_names_and_types_and_no_value(mobile: str, code: str, body: str) -> None:
    """A body in base64 is as good as clear text to whoever looks at the screen."""
    arguments = json.dumps([[mobile, int(code)], {"key": code}, None])
    packed = {
        "base64": base64.b64encode(arguments.encode()).decode(),
        "text": arguments,
        "escaped": "".join(f"%{ord(letter):02x}" for letter in arguments),
    }[body]
    shown = mask_raw(json.dumps({"headers": {"task": "send_voice_code", "retries": 0}, "body": packed}))
    assert json.loads(shown)["headers"] == {"task": "send_voice_code", "retries": "<int>"}
    if body != "escaped":
        inside = [["<11 characters>", "<int>"], {"key": f"<{len(code)} characters>"}, None]
        assert json.loads(shown)["body"] == {"inside": inside}
    assert mobile not in shown
    assert packed not in shown
    assert code not in re.sub(r"<[0-9,]+ characters>", "", shown)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", ""),
        ("13800138000 0042", "<16 characters>"),
        ('{"13800138000": true}', '{"<11 characters>": true}'),
        ("[" * 100_000 + "]" * 100_000, "<200,000 characters>"),
    ],
)
def test_bytes_that_nobody_could_parse_show_their_length(raw: str, shown: str) -> None:
    assert mask_raw(raw) == shown
