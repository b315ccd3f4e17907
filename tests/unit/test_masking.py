"""No number in full survives, wherever it stands."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.masking import REDACTED, mask_digits, mask_foreign_text, mask_mobile, mask_text

MOBILES: Final = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
CODES: Final = st.from_regex(r"[0-9]{4,6}", fullmatch=True)
GAPS: Final = st.sampled_from(["", "", "", " ", "-"])
SURROUNDINGS: Final = st.text(max_size=20)


def digits_of(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


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


@given(st.text(alphabet="0123456789ab -"))
def test_bytes_that_nobody_could_parse_show_no_run_of_digits(text: str) -> None:
    assert not re.search(r"\d{4}", mask_digits(text))
    assert not set(digits_of(mask_digits(text))) - set(digits_of(text))
