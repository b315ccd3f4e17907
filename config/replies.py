"""THE table: what each reply code and each network symptom means, and what follows. One row each.

Retry, dead letters, alerts, the simulator, `docs/replies.md` and the tests read only this table. To
change the fate of a reply, change its row here, or override it with `VOICECODE_REPLY_OVERRIDES`.

Source of the reply codes: the provider's interface document. Rows marked `seen` come from the
provider's sibling products and from public client code; nobody promises them, and their texts may
be worded otherwise. Reply 1 has no row: only 2 is an acceptance.
"""

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any, Final


class Kind(enum.Enum):
    """The class of a reply: what we know about the call."""

    ACCEPTED = "accepted"
    """The gateway took the call."""
    TRANSIENT = "transient"
    """No call was placed, and another try may succeed."""
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether the phone rang."""
    PERMANENT = "permanent"
    """No call was placed, and another try would fail the same way."""


class Scope(enum.Enum):
    """What is at fault, and so what else would fail now."""

    NONE = "none"
    """Nothing is at fault."""
    MESSAGE = "message"
    """This message only."""
    NUMBER = "number"
    """Every code for this number."""
    HOST = "host"
    """Every code sent from this machine."""
    ACCOUNT = "account"
    """Every code sent with this account."""


class Action(enum.Enum):
    """What delivery does next. Each is carried out by `worker/retry.py`."""

    RECORD = "record"
    """Record the acceptance; done."""
    BACKOFF = "backoff"
    """Try again after an exponential backoff with full jitter."""
    WAIT = "wait"
    """Try again after the row's own delay."""
    PARK = "park"
    """Wait until the fleet can send again."""
    BURY = "bury"
    """Make it a dead letter."""


class Alert(enum.Enum):
    """How loudly the log line of such an outcome speaks."""

    NONE = "none"
    """Logged at info."""
    WARN = "warn"
    """Logged at warning: worth a look in the morning."""
    PAGE = "page"
    """Logged at error with `alert=page`: every further code fails too; wake somebody."""


class Spends(enum.Enum):
    """What a failed try has used up, which bounds the next one. Numbers: `worker/retry.py`."""

    NOTHING = "nothing"
    """The form never left: only the code's life bounds such tries."""
    PLACE = "place"
    """The form left and was turned away unread: a place in the number's budget."""
    SUBMISSION = "submission"
    """The gateway read the form and refused it."""
    RING = "ring"
    """The phone may have rung: a submission and a possible ring."""


class Mends(enum.Enum):
    """Who can end an outage of this row. It decides what becomes of codes meanwhile."""

    NOBODY = "nobody"
    """No outage: other codes are not affected."""
    TIME = "time"
    """Time or a top-up: codes are parked until they can be called."""
    PERSON = "person"
    """A person must act: codes become dead letters at once, and the web app can offer SMS."""


class Symptom(enum.Enum):
    """What happened instead of a readable reply."""

    DNS_FAILED = "dns_failed"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    PROXY_FAILED = "proxy_failed"
    TLS_FAILED = "tls_failed"
    TLS_UNTRUSTED = "tls_untrusted"
    NOT_SENT = "not_sent"
    RESET = "reset"
    READ_TIMEOUT = "read_timeout"
    DEADLINE = "deadline"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    HOSTILE_XML = "hostile_xml"
    HTTP_5XX = "http_5xx"
    HTTP_429 = "http_429"
    HTTP_503 = "http_503"
    HTTP_3XX = "http_3xx"
    HTTP_IDLE = "http_idle"
    HTTP_4XX = "http_4xx"
    CRASH_BEFORE_SEND = "crash_before_send"
    CRASH_AFTER_SEND = "crash_after_send"
    LEASE_OVER = "lease_over"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. It has either `code` or `symptom`; the row for unknown codes has neither."""

    name: str
    """Unique: the reply code, with `/…` if the text decides; or the symptom; or `unknown`."""
    code: int | None = None
    symptom: Symptom | None = None
    text: str | None = None
    """A regular expression that the reply's message must match. Tried before the plain row."""
    message: str = ""
    """The gateway's own text for a code (the simulator sends it)."""
    meaning: str
    kind: Kind
    scope: Scope
    action: Action
    delay_seconds: float | None = None
    """For `wait`: how long. A wait that reaches past a code's end makes it a dead letter `expired`;
    a code lives for 5 minutes unless its producer says otherwise."""
    spends: Spends = Spends.SUBMISSION
    mends: Mends = Mends.NOBODY
    blocks_seconds: float = 0.0
    """How long no further form leaves for the same number."""
    times: int | None = None
    """How often in one life this row may lead to another try. None: no limit of its own."""
    alert: Alert
    runbook: str
    """Anchor in docs/operating.md."""
    seen: bool = False
    """Seen in the wild, not promised by the provider."""

    @property
    def is_incident(self) -> bool:
        """Whether it refuses everybody who shares the account or the host."""
        return self.mends is Mends.PERSON or self.action is Action.PARK


_A, _T, _B, _P = Kind.ACCEPTED, Kind.TRANSIENT, Kind.AMBIGUOUS, Kind.PERMANENT


def _code(  # noqa: PLR0913, PLR0917 - one argument per column
    code: int, message: str, meaning: str, kind: Kind, scope: Scope, alert: Alert, runbook: str, **more: Any
) -> Row:
    action = {_A: Action.RECORD, _T: Action.BACKOFF, _B: Action.BACKOFF, _P: Action.BURY}[kind]
    mends = Mends.PERSON if scope in {Scope.ACCOUNT, Scope.HOST} else Mends.NOBODY
    more = {"name": str(code), "action": action, "mends": mends, **more}
    return Row(
        code=code,
        message=message,
        meaning=meaning,
        kind=kind,
        scope=scope,
        alert=alert,
        runbook=runbook,
        **more,
    )


def _symptom(  # noqa: PLR0913, PLR0917 - one argument per column
    symptom: Symptom, meaning: str, kind: Kind, scope: Scope, alert: Alert, runbook: str
) -> Row:
    action = Action.BURY if kind is _P else Action.BACKOFF
    spends = Spends.RING if kind is _B else _SPENDS.get(symptom, Spends.SUBMISSION)
    return Row(
        name=symptom.value,
        symptom=symptom,
        meaning=meaning,
        kind=kind,
        scope=scope,
        action=action,
        spends=spends,
        mends=Mends.PERSON if kind is _P else Mends.TIME,
        alert=alert,
        runbook=runbook,
    )


_SPENDS: Final = {
    Symptom.DNS_FAILED: Spends.NOTHING,
    Symptom.CONNECT_REFUSED: Spends.NOTHING,
    Symptom.CONNECT_TIMEOUT: Spends.NOTHING,
    Symptom.PROXY_FAILED: Spends.NOTHING,
    Symptom.TLS_FAILED: Spends.NOTHING,
    Symptom.NOT_SENT: Spends.NOTHING,
    Symptom.CRASH_BEFORE_SEND: Spends.NOTHING,
    Symptom.HTTP_429: Spends.PLACE,
    Symptom.HTTP_503: Spends.PLACE,
    Symptom.HTTP_IDLE: Spends.PLACE,
}
_NONE, _MSG, _NUM, _HOST, _ACC = Scope.NONE, Scope.MESSAGE, Scope.NUMBER, Scope.HOST, Scope.ACCOUNT
_QUIET, _WARN, _PAGE = Alert.NONE, Alert.WARN, Alert.PAGE
_SEEN: Final = {"seen": True}
_TEN_MINUTES: Final = 600.0

# fmt: off
ROWS: Final[tuple[Row, ...]] = (
    _code(2, "提交成功", "taken for calling", _A, _NONE, _QUIET, "accepted"),
    _code(0, "提交失败", "the submission failed inside the gateway", _T, _NONE, _QUIET, "submission-failed", mends=Mends.TIME),
    _code(400, "非法ip访问", "this machine's address is refused", _P, _HOST, _PAGE, "address-refused"),
    _code(401, "帐号不能为空", "no account arrived: a missing setting, or the form was mangled on the way", _P, _ACC, _PAGE, "form-mangled"),
    _code(402, "密码不能为空", "no password arrived: a missing setting, or the form was mangled on the way", _P, _ACC, _PAGE, "form-mangled"),
    _code(403, "手机号码不能为空", "no number arrived", _P, _MSG, _WARN, "message-refused"),
    _code(4030, "手机号码已被列入黑名单", "the number is on the provider's black list", _P, _NUM, _QUIET, "number-refused", blocks_seconds=_TEN_MINUTES),
    _code(404, "语音内容不能为空", "no code arrived", _P, _MSG, _WARN, "message-refused"),
    _code(405, "用户名或密码不正确", "wrong APIID or APIKEY", _P, _ACC, _PAGE, "wrong-credentials"),
    _code(4050, "账号被冻结", "the account is frozen", _P, _ACC, _PAGE, "account-frozen"),
    _code(4051, "剩余条数不足", "the account has no calls left", _P, _ACC, _PAGE, "account-empty", action=Action.PARK, spends=Spends.PLACE, mends=Mends.TIME),
    _code(4052, "访问ip与备案ip不符", "this machine's address is not the registered one", _P, _HOST, _PAGE, "address-refused"),
    _code(406, "手机格式不正确", "the number is malformed", _P, _MSG, _WARN, "message-refused"),
    _code(407, "短信内容含有敏感字符", "the content was refused", _P, _MSG, _WARN, "message-refused"),
    _code(4070, "语音验证码内容必须为4-6位数字", "the code is not 4-6 digits", _P, _MSG, _WARN, "message-refused"),
    _code(408, "您的帐户疑被恶意利用，已被自动冻结，如有疑问请与客服联系。", "the account was frozen for suspected abuse; a person must act", _P, _ACC, _PAGE, "account-frozen"),
    _code(408, "发送超限，号码已列入黑名单", "the number's limit was reached", _P, _NUM, _QUIET, "number-refused", blocks_seconds=_TEN_MINUTES, name="408/limit", text="发送超限|黑名单", **_SEEN),
    _code(40501, "动态密码已过期", "the dynamic password expired: this machine's clock is off", _T, _HOST, _PAGE, "clock-skew", action=Action.WAIT, delay_seconds=0.0, times=1, **_SEEN),
    _code(40502, "动态密码校验失败", "the dynamic password is wrong", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(4080, "同一手机号每秒只能提交一次", "more than one submission in a second to this number", _T, _NUM, _WARN, "number-too-often", blocks_seconds=60.0, action=Action.WAIT, delay_seconds=60.0, times=1, **_SEEN),
    _code(4082, "同一手机号提交过于频繁", "the number's frequency limit was reached", _P, _NUM, _QUIET, "number-refused", blocks_seconds=_TEN_MINUTES, **_SEEN),
    _code(4085, "同一手机号当日提交次数超限", "the number's daily limit was reached", _P, _NUM, _QUIET, "number-refused", blocks_seconds=_TEN_MINUTES, **_SEEN),
    _code(4086, "同一手机号提交次数超限", "the number's limit was reached", _P, _NUM, _QUIET, "number-refused", blocks_seconds=_TEN_MINUTES, **_SEEN),
    _code(4071, "模板不存在", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(4072, "提交内容与模板不匹配", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(4073, "模板变量超长", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(4074, "模板未审核", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(4075, "模板已停用", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(40722, "变量内容超过长度", "a template code: another product's endpoint is configured", _P, _ACC, _PAGE, "wrong-url", **_SEEN),
    _code(4010, "", "the account is not accepted", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(4010, "每个号码1分钟内只能发1条", "the number's limit of one a minute was reached", _T, _NUM, _WARN, "number-too-often", blocks_seconds=60.0, action=Action.WAIT, delay_seconds=60.0, times=1, name="4010/limit", text="分钟|频率", **_SEEN),
    _code(4011, "", "the account or its key is not accepted", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(4012, "", "the account or its key is not accepted", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(4013, "", "the account or its key is not accepted", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(40505, "没有签定合同", "the account has no valid contract for this product", _P, _ACC, _PAGE, "wrong-credentials", **_SEEN),
    _code(4077, "", "the content was refused; nobody has told why", _P, _MSG, _PAGE, "unknown-reply", **_SEEN),
    _code(4081, "同一手机号码一分钟之内只能提交一次", "more than one submission in a minute to this number", _T, _NUM, _WARN, "number-too-often", blocks_seconds=60.0, action=Action.WAIT, delay_seconds=60.0, times=1, **_SEEN),
    Row(name="unknown", meaning="a reply code that this table does not know; not retried, because repeated tries can freeze the account", kind=_P, scope=_MSG, action=Action.BURY, alert=_PAGE, runbook="unknown-reply"),

    _symptom(Symptom.DNS_FAILED, "the gateway's name could not be looked up", _T, _HOST, _WARN, "gateway-unreachable"),
    _symptom(Symptom.CONNECT_REFUSED, "no connection: refused or unreachable", _T, _HOST, _WARN, "gateway-unreachable"),
    _symptom(Symptom.CONNECT_TIMEOUT, "no connection within the connect time-out", _T, _HOST, _WARN, "gateway-unreachable"),
    _symptom(Symptom.PROXY_FAILED, "the proxy gave no connection", _T, _HOST, _WARN, "gateway-unreachable"),
    _symptom(Symptom.TLS_FAILED, "the TLS handshake failed", _T, _HOST, _WARN, "gateway-unreachable"),
    _symptom(Symptom.TLS_UNTRUSTED, "the gateway's certificate is not valid", _P, _HOST, _PAGE, "certificate"),
    _symptom(Symptom.NOT_SENT, "the attempt's time was over before the form could leave", _T, _HOST, _WARN, "slow-worker"),
    _symptom(Symptom.RESET, "the connection broke after the form had left", _B, _NONE, _WARN, "reply-lost"),
    _symptom(Symptom.READ_TIMEOUT, "no reply within the read time-out", _B, _NONE, _WARN, "reply-lost"),
    _symptom(Symptom.DEADLINE, "the attempt's time was over before the reply was whole", _B, _NONE, _WARN, "reply-lost"),
    _symptom(Symptom.TRUNCATED, "the reply's body was cut off", _B, _NONE, _WARN, "reply-lost"),
    _symptom(Symptom.UNREADABLE, "the reply is neither the XML nor the JSON of the contract", _B, _NONE, _WARN, "reply-unreadable"),
    _symptom(Symptom.TOO_LARGE, "the reply's body is over the cap", _B, _NONE, _WARN, "reply-unreadable"),
    _symptom(Symptom.HOSTILE_XML, "the reply declares a document type or entities", _B, _NONE, _WARN, "reply-unreadable"),
    _symptom(Symptom.HTTP_5XX, "HTTP 5xx other than 503", _B, _NONE, _WARN, "gateway-broken"),
    _symptom(Symptom.HTTP_429, "HTTP 429", _T, _ACC, _WARN, "gateway-busy"),
    _symptom(Symptom.HTTP_503, "HTTP 503", _T, _NONE, _WARN, "gateway-busy"),
    _symptom(Symptom.HTTP_3XX, "HTTP 3xx; redirects are not followed, because they would send the key and the code elsewhere", _P, _ACC, _PAGE, "wrong-url"),
    _symptom(Symptom.HTTP_IDLE, "HTTP 408, 421 or 425: a proxy had not taken the request", _T, _NONE, _WARN, "gateway-busy"),
    _symptom(Symptom.HTTP_4XX, "any other HTTP 4xx: a wrong URL, or a firewall", _P, _ACC, _PAGE, "wrong-url"),
    _symptom(Symptom.CRASH_BEFORE_SEND, "our own code failed before the form left", _T, _HOST, _PAGE, "worker-bug"),
    _symptom(Symptom.CRASH_AFTER_SEND, "our own code failed after the form had left", _B, _HOST, _PAGE, "worker-bug"),
    _symptom(Symptom.LEASE_OVER, "the worker died, or lost Redis, in mid-call", _B, _NONE, _WARN, "worker-died"),
)
# fmt: on

ACCEPTED: Final = 2
"""The one reply code that the gateway documents as a success."""

_HTTP_EXACT: Final = {
    429: Symptom.HTTP_429,
    503: Symptom.HTTP_503,
    408: Symptom.HTTP_IDLE,
    421: Symptom.HTTP_IDLE,
    425: Symptom.HTTP_IDLE,
}
_HTTP_CLASS: Final = {3: Symptom.HTTP_3XX, 4: Symptom.HTTP_4XX}


def symptom_of_http(status: int) -> Symptom | None:
    """Return the symptom of an HTTP status, None for 2xx. All but 2xx to 4xx count as 5xx."""
    if 200 <= status < 300:  # noqa: PLR2004 - the HTTP status classes
        return None
    return _HTTP_EXACT.get(status) or _HTTP_CLASS.get(status // 100, Symptom.HTTP_5XX)


_OVERRIDABLE: Final[dict[str, type[enum.Enum] | None]] = {
    "kind": Kind,
    "scope": Scope,
    "action": Action,
    "alert": Alert,
    "spends": Spends,
    "mends": Mends,
    "delay_seconds": None,
    "blocks_seconds": None,
    "times": None,
    "text": None,
    "runbook": None,
}


class Replies:
    """The table with a setting's overrides applied.

    `overrides` maps a row's name to the columns to change, e.g. `{"4085": {"kind": "transient",
    "action": "wait", "delay_seconds": 60, "times": 1}}`. A reply code that has no row yet gets one,
    made from the `unknown` row.
    Raises ValueError with one sentence that names the row and the column.
    """

    def __init__(self, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        rows = {row.name: row for row in ROWS}
        for name, columns in (overrides or {}).items():
            rows[name] = _override(name, rows.get(name), rows["unknown"], columns)
        self.rows: Final = tuple(rows.values())
        self._unknown = rows["unknown"]
        self._symptoms = {row.symptom: row for row in self.rows if row.symptom}
        self._plain = {row.code: row for row in self.rows if row.code is not None and row.text is None}
        self._by_text = [
            (row.code, re.compile(row.text), row) for row in self.rows if row.code is not None and row.text
        ]

    def of_code(self, code: int, message: str) -> Row:
        """Return the row of a reply code; one whose text is in `message` goes first."""
        for wanted, pattern, row in self._by_text:
            if wanted == code and pattern.search(message):
                return row
        return self._plain.get(code, self._unknown)

    def of_symptom(self, symptom: Symptom) -> Row:
        """Return the row of a symptom."""
        return self._symptoms[symptom]


def _override(name: str, row: Row | None, unknown: Row, columns: Mapping[str, Any]) -> Row:
    if row is None:
        if not re.fullmatch(r"\d{1,6}(/[a-z_]+)?", name):
            known = ", ".join(r.name for r in ROWS)
            message = f"no row is called {name!r}; known rows: {known}"
            raise ValueError(message)
        row = dataclasses.replace(unknown, name=name, code=int(name.partition("/")[0]))
    changes: dict[str, Any] = {}
    for column, value in columns.items():
        if column not in _OVERRIDABLE:
            message = (
                f"row {name!r} has no column {column!r} to override; there are: {', '.join(_OVERRIDABLE)}"
            )
            raise ValueError(message)
        changes[column] = _value(name, column, value)
    new = dataclasses.replace(row, **changes)
    _check(new)
    return new


def _value(name: str, column: str, value: Any) -> Any:
    of = _OVERRIDABLE[column]
    try:
        if of is not None:
            return of(value)
        if value is None:
            return None
        if column in {"delay_seconds", "blocks_seconds"}:
            return float(value)
        if column == "times":
            return int(value)
        if column == "text":
            re.compile(value)
        return str(value)
    except (ValueError, TypeError, re.error) as error:
        allowed = f"; allowed: {', '.join(m.value for m in of)}" if of else ""
        message = f"row {name!r}, column {column!r}: {value!r} cannot be used{allowed}"
        raise ValueError(message) from error


_ACTIONS: Final = {
    Kind.ACCEPTED: {Action.RECORD},
    Kind.TRANSIENT: {Action.BACKOFF, Action.WAIT, Action.BURY},
    Kind.AMBIGUOUS: {Action.BACKOFF, Action.WAIT, Action.BURY},
    Kind.PERMANENT: {Action.BURY, Action.PARK},
}


_LONGEST_DELAY_SECONDS: Final = 86_400


def _check(row: Row) -> None:
    if row.action not in _ACTIONS[row.kind]:
        fitting = ", ".join(sorted(a.value for a in _ACTIONS[row.kind]))
        message = f"row {row.name!r}: a reply of kind {row.kind.value!r} cannot have action {row.action.value!r}; fitting: {fitting}"
        raise ValueError(message)
    if row.action is Action.WAIT and (
        row.delay_seconds is None or not 0 <= row.delay_seconds <= _LONGEST_DELAY_SECONDS
    ):
        message = f"row {row.name!r}: action 'wait' needs delay_seconds from 0 to {_LONGEST_DELAY_SECONDS}"
        raise ValueError(message)
    if (row.spends is Spends.RING) != (row.kind is Kind.AMBIGUOUS):
        message = f"row {row.name!r}: kind 'ambiguous' and spends 'ring' go together"
        raise ValueError(message)
    if not 0 <= row.blocks_seconds <= _LONGEST_DELAY_SECONDS:
        message = f"row {row.name!r}: blocks_seconds must be 0 to {_LONGEST_DELAY_SECONDS}"
        raise ValueError(message)
    if row.times is not None and row.times < 0:
        message = f"row {row.name!r}: times must be 0 or more"
        raise ValueError(message)
