"""What the gateway says, byte for byte, and what it becomes."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replies import Symptom
from worker.gateway.parser import BALANCE_RESULT, MESSAGE_CAP, SUBMIT_RESULT, parse, retry_after
from worker.reply import Reply

XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<SubmitResult{}>\n<code>2</code>\n'
    "<msg>提交成功</msg>\n<voiceid>60495654</voiceid>\n</SubmitResult>"
)
NAMESPACES = ["http://106.ihuyi.com/", "http://106.ihuyi.cn/", "http://121.199.16.178/"]
ACCEPTED = Reply(code=2, message="提交成功", voice_id="60495654")


@pytest.mark.parametrize("attribute", ["", *(f' xmlns="{name}"' for name in NAMESPACES)])
def test_xml_is_read_whatever_its_namespace(attribute: str) -> None:
    assert parse(XML.format(attribute).encode()) == ACCEPTED


def test_xml_with_a_prefix_is_read() -> None:
    assert parse(b'<h:SubmitResult xmlns:h="x"><h:code> 2 </h:code></h:SubmitResult>') == Reply(code=2)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 2, "msg": "提交成功", "voiceid": "60495654"},
        {"code": "2", "msg": "提交成功", "smsid": 60495654},
        {"SubmitResult": {"code": 2, "msg": "提交成功", "smsid": "0", "voiceid": "60495654"}},
    ],
)
def test_json_is_read_flat_or_wrapped_with_either_name_of_the_id(body: object) -> None:
    assert parse(json.dumps(body).encode()) == ACCEPTED


@pytest.mark.parametrize("written", ["16842079209571524017", '"16842079209571524017"'])
def test_ids_of_twenty_digits_stay_exact(written: str) -> None:
    assert parse(f'{{"code":2,"smsid":{written}}}'.encode()).voice_id == "16842079209571524017"


@pytest.mark.parametrize("written", ["0", '"0"', '""', "null", "true", "1.5e19", "[1]", '"000"'])
def test_no_id_is_none(written: str) -> None:
    assert parse(f'{{"code":2,"smsid":{written}}}'.encode()) == Reply(code=2)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (XML.format("").encode("utf-8-sig"), ""),
        (XML.format("").replace("utf-8", "utf-16").encode("utf-16"), ""),
        (XML.format("").replace("utf-8", "gbk").encode("gbk"), ""),
        (XML.format("").replace("utf-8", "GB2312").encode("gbk"), "text/xml; charset=utf-8"),
        (XML.format("").encode(), "text/xml; charset=ISO-8859-1"),
        (XML.format("").encode("gbk"), ""),
        (XML.format("").partition("\n")[2].encode("gbk"), 'text/xml; charset="GBK"'),
        (("\n" + XML.format("")).encode(), "text/html"),
    ],
)
def test_the_encoding_is_found(body: bytes, content_type: str) -> None:
    assert parse(body, content_type) == ACCEPTED


UNREADABLE = [
    b"",
    b"   ",
    b"[]",
    b"2",
    b'"2"',
    b"null",
    b"{}",
    b'{"code":true}',
    b'{"code":2.0}',
    b'{"code":"2.5"}',
    b'{"code":NaN}',
    b'{"code":2,"x":Infinity}',
    b'{"code":null}',
    b'{"code":"two"}',
    '{"code":"２"}'.encode(),
    b'{"code":12345678901234567890}',
    b'{"code":2,"code":405}',
    b'{"SubmitResult":[2]}',
    b'{"GetNumResult":{"code":2,"num":5}}',
    b'{"code":2',
    b'{"a":' * 20_000,
    b"[" * 60_000,
    b"<a>" * 20_000,
    b"<a>" * 9_000 + b"</a>" * 9_000,
    b"<SubmitResult></SubmitResult>",
    b"<SubmitResult><code>2</code>",
    b"<SubmitResult><code>2</code><code>405</code></SubmitResult>",
    b"<SubmitResult><x><code>2</code></x></SubmitResult>",
    b"<GetNumResult><code>2</code><num>5</num></GetNumResult>",
    b"<SubmitResult><code>&nbsp;</code></SubmitResult>",
    b"<html><body><code>2</code></body></html>",
    b"<!DOCTYPE html><html><body>502</body></html>",
    b"\xff\xfe\x00\xd8",
    b"\x80\x00\x81",
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_keeps_to_no_form_is_unreadable(body: bytes) -> None:
    assert parse(body).symptom is Symptom.UNREADABLE


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "2">]><SubmitResult><code>&b;</code></SubmitResult>',
        b'<!doctype SubmitResult SYSTEM "http://x/"><SubmitResult><code>2</code></SubmitResult>',
        b"<SubmitResult><code>2</code></SubmitResult><!ENTITY x '2'>",
        '<!DOCTYPE a [<!ENTITY b "2">]><SubmitResult><code>&b;</code></SubmitResult>'.encode("utf-16"),
    ],
)
def test_document_types_and_entities_are_refused_before_they_are_parsed(body: bytes) -> None:
    assert parse(body).symptom is Symptom.HOSTILE_XML


def test_a_balance_of_zero_is_an_answer() -> None:
    for body in (
        b'{"code":2,"num":0}',
        b'{"GetNumResult":{"code":"2","num":"0"}}',
        b"<GetNumResult><code>2</code><num>0</num></GetNumResult>",
    ):
        assert parse(body, result=BALANCE_RESULT) == Reply(code=2, balance=0)


def test_the_message_is_masked_then_cut() -> None:
    text = "x" * (MESSAGE_CAP - 8) + " 13800138000"
    message = parse(json.dumps({"code": 406, "msg": text}).encode()).message
    assert "1380013" not in message
    assert len(message) == MESSAGE_CAP


def test_half_a_surrogate_pair_in_the_message_can_be_written_later() -> None:
    assert parse(b'{"code":406,"msg":"a\\ud800b\\u0000c"}').message.encode() == b"a?bc"


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.text(max_size=40))
def test_any_bytes_become_a_reply_with_either_a_code_or_a_symptom(body: bytes, content_type: str) -> None:
    reply = parse(body, content_type)
    assert (reply.code is None) != (reply.symptom is None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "msg", "smsid", "num", SUBMIT_RESULT]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_becomes_a_reply_with_either_a_code_or_a_symptom(value: object) -> None:
    reply = parse(json.dumps(value).encode())
    assert (reply.code is None) != (reply.symptom is None)


@given(
    st.dictionaries(st.sampled_from(["code", "msg", "smsid", "voiceid", "num", "x"]), st.text(max_size=12))
)
def test_any_xml_becomes_a_reply_with_either_a_code_or_a_symptom(fields: dict[str, str]) -> None:
    body = (
        "<SubmitResult>"
        + "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
        + "</SubmitResult>"
    )
    reply = parse(body.encode())
    assert (reply.code is None) != (reply.symptom is None)


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9" * 400, None),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:04:04 GMT", None),
        ("Fri, 99 Jan 2026 03:04:35 GMT", None),
    ],
)
def test_retry_after_is_seconds_from_now_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds
