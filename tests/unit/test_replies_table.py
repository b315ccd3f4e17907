"""The table of replies, held against the gateway's contract."""

import re

import pytest

from config.replies import ROWS, Action, Alert, Kind, Replies, Scope, Symptom, symptom_of_http

CONTRACT = {
    2: (Kind.ACCEPTED, Scope.NONE),
    0: (Kind.TRANSIENT, Scope.NONE),
    400: (Kind.PERMANENT, Scope.HOST),
    401: (Kind.PERMANENT, Scope.ACCOUNT),
    402: (Kind.PERMANENT, Scope.ACCOUNT),
    403: (Kind.PERMANENT, Scope.MESSAGE),
    4030: (Kind.PERMANENT, Scope.NUMBER),
    404: (Kind.PERMANENT, Scope.MESSAGE),
    405: (Kind.PERMANENT, Scope.ACCOUNT),
    4050: (Kind.PERMANENT, Scope.ACCOUNT),
    4051: (Kind.PERMANENT, Scope.ACCOUNT),
    4052: (Kind.PERMANENT, Scope.HOST),
    406: (Kind.PERMANENT, Scope.MESSAGE),
    407: (Kind.PERMANENT, Scope.MESSAGE),
    4070: (Kind.PERMANENT, Scope.MESSAGE),
    408: (Kind.PERMANENT, Scope.ACCOUNT),
    40501: (Kind.TRANSIENT, Scope.HOST),
    40502: (Kind.PERMANENT, Scope.ACCOUNT),
    4080: (Kind.TRANSIENT, Scope.NUMBER),
    4082: (Kind.PERMANENT, Scope.NUMBER),
    4085: (Kind.PERMANENT, Scope.NUMBER),
    4086: (Kind.PERMANENT, Scope.NUMBER),
    4071: (Kind.PERMANENT, Scope.ACCOUNT),
    4072: (Kind.PERMANENT, Scope.ACCOUNT),
    4073: (Kind.PERMANENT, Scope.ACCOUNT),
    4074: (Kind.PERMANENT, Scope.ACCOUNT),
    4075: (Kind.PERMANENT, Scope.ACCOUNT),
    40722: (Kind.PERMANENT, Scope.ACCOUNT),
    4010: (Kind.PERMANENT, Scope.ACCOUNT),
    4011: (Kind.PERMANENT, Scope.ACCOUNT),
    4012: (Kind.PERMANENT, Scope.ACCOUNT),
    4013: (Kind.PERMANENT, Scope.ACCOUNT),
    40505: (Kind.PERMANENT, Scope.ACCOUNT),
    4077: (Kind.PERMANENT, Scope.MESSAGE),
    4081: (Kind.TRANSIENT, Scope.NUMBER),
}
PROMISED = {2, 0, 400, 401, 402, 403, 4030, 404, 405, 4050, 4051, 4052, 406, 407, 4070, 408}

SYMPTOMS = {
    Symptom.DNS_FAILED: Kind.TRANSIENT,
    Symptom.CONNECT_REFUSED: Kind.TRANSIENT,
    Symptom.CONNECT_TIMEOUT: Kind.TRANSIENT,
    Symptom.PROXY_FAILED: Kind.TRANSIENT,
    Symptom.TLS_FAILED: Kind.TRANSIENT,
    Symptom.TLS_UNTRUSTED: Kind.PERMANENT,
    Symptom.NOT_SENT: Kind.TRANSIENT,
    Symptom.RESET: Kind.AMBIGUOUS,
    Symptom.READ_TIMEOUT: Kind.AMBIGUOUS,
    Symptom.DEADLINE: Kind.AMBIGUOUS,
    Symptom.TRUNCATED: Kind.AMBIGUOUS,
    Symptom.UNREADABLE: Kind.AMBIGUOUS,
    Symptom.TOO_LARGE: Kind.AMBIGUOUS,
    Symptom.HOSTILE_XML: Kind.AMBIGUOUS,
    Symptom.HTTP_5XX: Kind.AMBIGUOUS,
    Symptom.HTTP_429: Kind.TRANSIENT,
    Symptom.HTTP_503: Kind.TRANSIENT,
    Symptom.HTTP_3XX: Kind.PERMANENT,
    Symptom.HTTP_IDLE: Kind.TRANSIENT,
    Symptom.HTTP_4XX: Kind.PERMANENT,
    Symptom.CRASH_BEFORE_SEND: Kind.TRANSIENT,
    Symptom.CRASH_AFTER_SEND: Kind.AMBIGUOUS,
    Symptom.LEASE_OVER: Kind.AMBIGUOUS,
}


@pytest.mark.parametrize(("code", "expected"), CONTRACT.items())
def test_each_reply_code_has_the_class_and_scope_of_the_contract(
    code: int, expected: tuple[Kind, Scope]
) -> None:
    row = Replies().of_code(code, "")
    assert expected == (row.kind, row.scope)


def test_the_table_has_every_code_of_the_contract_and_no_other() -> None:
    assert set(CONTRACT) == {row.code for row in ROWS if row.code is not None}


def test_a_code_that_the_document_promises_is_not_marked_as_only_seen() -> None:
    assert {row.code for row in ROWS if row.code is not None and not row.seen} == PROMISED


def test_a_limit_of_one_number_stops_nobody_else() -> None:
    """Sources disagree about 4010; where its text speaks of a limit, no account is at fault."""
    row = Replies().of_code(4010, "通道限制：每个号码1分钟内只能发1条")
    assert (row.name, row.scope, row.is_incident) == ("4010/limit", Scope.NUMBER, False)


@pytest.mark.parametrize("code", [1, 3, 20, 200])
def test_no_other_reply_than_2_is_an_acceptance(code: int) -> None:
    """Some public clients take 1 for a success; a phone that never rings is the price."""
    row = Replies().of_code(code, "提交成功")
    assert (row.name, row.kind, row.action) == ("unknown", Kind.PERMANENT, Action.BURY)


@pytest.mark.parametrize(("symptom", "kind"), SYMPTOMS.items())
def test_each_symptom_has_the_class_of_the_contract(symptom: Symptom, kind: Kind) -> None:
    assert kind is Replies().of_symptom(symptom).kind


def test_every_symptom_has_a_row() -> None:
    assert set(Symptom) == set(SYMPTOMS) == {row.symptom for row in ROWS if row.symptom}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (204, None),
        (302, Symptom.HTTP_3XX),
        (307, Symptom.HTTP_3XX),
        (400, Symptom.HTTP_4XX),
        (404, Symptom.HTTP_4XX),
        (408, Symptom.HTTP_IDLE),
        (413, Symptom.HTTP_4XX),
        (421, Symptom.HTTP_IDLE),
        (425, Symptom.HTTP_IDLE),
        (429, Symptom.HTTP_429),
        (500, Symptom.HTTP_5XX),
        (503, Symptom.HTTP_503),
        (504, Symptom.HTTP_5XX),
        (101, Symptom.HTTP_5XX),
        (999, Symptom.HTTP_5XX),
    ],
)
def test_an_http_status_is_never_taken_for_a_reply_code(status: int, expected: Symptom | None) -> None:
    assert expected is symptom_of_http(status)


def test_names_are_unique() -> None:
    names = [row.name for row in ROWS]
    assert sorted(set(names)) == sorted(names)


def test_a_row_has_a_code_or_a_symptom_and_only_the_unknown_one_has_neither() -> None:
    assert [row.name for row in ROWS if (row.code is None) == (row.symptom is None)] == ["unknown"]


def test_only_what_may_succeed_is_tried_again() -> None:
    """A permanent failure is never retried; an empty account keeps its codes for the top-up."""
    for row in ROWS:
        expected = {
            Kind.ACCEPTED: {Action.RECORD},
            Kind.PERMANENT: {Action.PARK if row.name == "4051" else Action.BURY},
            Kind.TRANSIENT: {Action.BACKOFF, Action.WAIT},
            Kind.AMBIGUOUS: {Action.BACKOFF},
        }[row.kind]
        assert row.action in expected, row.name


def test_whatever_fails_the_whole_account_wakes_somebody() -> None:
    quiet = {
        row.name
        for row in ROWS
        if row.kind is Kind.PERMANENT
        and row.scope in {Scope.ACCOUNT, Scope.HOST}
        and row.alert is not Alert.PAGE
    }
    assert quiet == set()


def test_every_runbook_anchor_can_stand_in_a_link() -> None:
    assert [row.runbook for row in ROWS if not re.fullmatch(r"[a-z]+(-[a-z]+)*", row.runbook)] == []


@pytest.mark.parametrize(
    ("text", "name", "scope"),
    [
        ("您的帐户疑被恶意利用，已被自动冻结，如有疑问请与客服联系。", "408", Scope.ACCOUNT),
        ("", "408", Scope.ACCOUNT),
        ("发送超限", "408/limit", Scope.NUMBER),
        ("该号码已列入黑名单", "408/limit", Scope.NUMBER),
    ],
)
def test_the_text_tells_the_two_meanings_of_408_apart(text: str, name: str, scope: Scope) -> None:
    row = Replies().of_code(408, text)
    assert (name, scope) == (row.name, row.scope)


def test_the_text_of_408_changes_no_other_code() -> None:
    assert Replies().of_code(4050, "发送超限").name == "4050"


@pytest.mark.parametrize("code", [1, 3, -1, 4999, 99_999, 10**20])
def test_any_other_code_is_unknown_permanent_and_alerts(code: int) -> None:
    row = Replies().of_code(code, "")
    assert (row.name, row.action, row.alert) == ("unknown", Action.BURY, Alert.PAGE)


def test_the_expired_signature_is_sent_again_once_and_at_once() -> None:
    row = Replies().of_code(40501, "")
    assert (row.action, row.delay_seconds, row.times) == (Action.WAIT, 0.0, 1)


def test_two_submissions_in_one_second_wait_a_minute_once() -> None:
    row = Replies().of_code(4080, "")
    assert (row.action, row.delay_seconds, row.times) == (Action.WAIT, 60.0, 1)


def test_an_override_changes_its_row_and_no_other() -> None:
    changed = Replies({"4085": {"kind": "transient", "action": "wait", "delay_seconds": 60, "times": 1}})
    row = changed.of_code(4085, "")
    assert (row.kind, row.action, row.delay_seconds, row.times, row.scope) == (
        Kind.TRANSIENT,
        Action.WAIT,
        60.0,
        1,
        Scope.NUMBER,
    )
    assert [r for r in changed.rows if r.name != "4085"] == [r for r in ROWS if r.name != "4085"]


def test_an_override_gives_a_code_without_a_row_one() -> None:
    row = Replies({"4999": {"scope": "number", "alert": "none"}}).of_code(4999, "")
    assert (row.code, row.name, row.scope, row.action) == (4999, "4999", Scope.NUMBER, Action.BURY)


def test_an_override_may_tell_a_code_apart_by_its_text() -> None:
    changed = Replies({"4050/number": {"text": "号码", "scope": "number"}})
    assert [changed.of_code(4050, text).name for text in ("号码被冻结", "账号被冻结")] == [
        "4050/number",
        "4050",
    ]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"rest": {"kind": "transient"}}, "no row is called 'rest'"),
        ({"4085": {"colour": "red"}}, "row '4085' has no column 'colour'"),
        ({"4085": {"kind": "maybe"}}, "allowed: accepted, transient, ambiguous, permanent"),
        ({"4085": {"kind": "transient", "action": "record"}}, "fitting: backoff, bury, wait"),
        ({"2": {"action": "bury"}}, "cannot have action 'bury'"),
        ({"0": {"action": "wait"}}, "needs delay_seconds"),
        ({"4080": {"delay_seconds": -1}}, "needs delay_seconds"),
        ({"4080": {"delay_seconds": "soon"}}, "column 'delay_seconds'"),
        ({"408/limit": {"text": "("}}, "column 'text'"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused_with_its_row_and_column(
    overrides: dict[str, dict[str, object]], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Replies(overrides)
