"""The client for web apps and the worker refuse the same codes, in the same words."""

import ast
import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicecode_client import Client, core, message, rules
from voicecode_client.testing.rows import ROWS as ENDS
from voicecode_client.testing.rows import End

from config import masking, names
from config.replies import ROWS, Action, Kind, Mends, Row, Spends
from config.settings import Settings
from worker import message as ours
from worker.transport.unreadable import Malformed

CLIENT: Final = Path(__file__).parents[2] / "clients" / "python"
SETTINGS: Final = Settings(account="a", apikey="b")
NOW: Final = 1_764_000_000.0
CHECKING: Final = Client("redis://127.0.0.1:1", max_life_seconds=SETTINGS.max_ttl_seconds)
PATTERNS: Final = {
    "KEY": ours._KEY,
    "CODE": ours._CODE,
    "MOBILE": ours._MOBILE,
    "PURPOSE": ours._PURPOSE,
    "GROUPED": masking._GROUPED,
    "EXTENDED": masking._EXTENDED,
    "RANDOM_ID": masking._RANDOM_ID,
    "NO_DIGIT_OR_UUID": masking._NO_DIGIT_OR_UUID,
}
ODD: Final[list[Any]] = [None, True, 0, 42, 13800138000, 1.5, "", " ", [], {}, b"x", "\u0661" * 11]
MOBILES: Final = ["13800138000", "+86 138-0013-8000", "008613800138000", "01012345678", "138001380001"]
CODES: Final = ["0042", "123456", "1234567", "042", "00a2"]
KEYS: Final = [
    "login:1",
    "13800138000",
    "login:138.0013.8000:1",
    "1-3-8-0-0-1-3-8-0-0-0",
    "8f14e45f-ceea-467f-a0e6-138001380001",
    "order:13800138000123",
    "1764072000123",
    "a" * 129,
]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_the_workers(name: str) -> None:
    pattern = getattr(rules, name)
    assert (pattern.pattern, pattern.flags) == (PATTERNS[name].pattern, PATTERNS[name].flags)


def by_worker(mobile: Any, code: Any, key: Any, life: Any, purpose: Any) -> Any:
    try:
        code_ = ours.parse(
            [mobile, code],
            {"key": key, "expires_at": NOW + life, "purpose": purpose},
            task_id="t",
            namer=str,
            settings=SETTINGS,
            now=NOW,
        )
    except ours.BadInput as error:
        return str(error)
    return code_.mobile, code_.code, code_.key, code_.purpose


def by_client(mobile: Any, code: Any, key: Any, life: Any, purpose: Any) -> Any:
    found = CHECKING._check(mobile, code, key, life, purpose)
    return (
        found.detail
        if not isinstance(found, core.Job)
        else (found.mobile, found.code, found.key, found.purpose)
    )


@given(
    mobile=st.sampled_from([*ODD, *MOBILES]) | st.text(max_size=20) | st.from_regex(rules.MOBILE),
    code=st.sampled_from([*ODD, *CODES]) | st.text(max_size=8),
    key=st.sampled_from([*ODD[1:], *KEYS]) | st.from_regex(rules.KEY) | st.from_regex(rules.EXTENDED),
    life=st.sampled_from([1, 300, 3600, 3601, 1e6]),
    purpose=st.sampled_from([*ODD, *KEYS, "login"]),
)
def test_both_say_the_same(mobile: Any, code: Any, key: Any, life: float, purpose: Any) -> None:
    """A key may be left out with the worker, but not with the client."""
    given = (mobile, code, key, life, purpose)
    assert by_client(*given) == by_worker(*given)


def test_the_sentence_about_a_conflict_is_the_workers() -> None:
    delivery = (CLIENT.parents[1] / "worker" / "delivery.py").read_text("utf-8")
    assert f'"{rules.CONFLICT}"' in delivery


def test_the_names_are_the_workers() -> None:
    assert (message.QUEUE, message.SEND_TASK) == (names.QUEUE, names.SEND_TASK)
    assert (core.RECORD_PREFIX, core.SENT_PREFIX) == (names.RECORD_PREFIX, names.SENT_PREFIX)
    assert f"'{names.SENDING}'" in core.SCRIPT
    assert f"'{names.RECORD_PREFIX}'" in core.SCRIPT


def test_the_worker_takes_every_argument_of_the_golden_message() -> None:
    golden = json.loads((CLIENT / "tests" / "message.json").read_text("utf-8"))
    assert golden["headers"]["task"] == names.SEND_TASK
    assert golden["properties"]["delivery_info"]["routing_key"] == names.QUEUE
    assert issubclass(Malformed, Exception)


OWN: Final = {"redis", "voicecode_client"}
MAY_USE: Final = {
    "fastapi.py": {"fastapi", "starlette"},
    "django": {"django"},
    "plugin.py": {"pytest"},
    "trace.py": {"opentelemetry"},
}
"""What each framework's own module may import beside."""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize(
    "path", sorted((CLIENT / "voicecode_client").rglob("*.py")), ids=lambda path: path.name
)
def test_the_client_needs_nothing_but_redis(path: Path) -> None:
    """Neither Celery nor the workers' packages, and a framework in its own module only."""
    may_use = MAY_USE.get(path.name, set()) | MAY_USE.get(path.parent.name, set())
    assert imported(path) <= OWN | may_use


def end_of(row: Row) -> End:
    """Return what a worker makes of a code that meets a row at each try."""
    if row.kind is Kind.ACCEPTED:
        return End.ACCEPTED
    if row.action is Action.PARK:
        return End.PARKED
    if row.mends is Mends.PERSON:
        return End.STOPS
    if row.kind is Kind.PERMANENT:
        return End.PERMANENT
    if row.kind is Kind.AMBIGUOUS:
        return End.AMBIGUOUS
    return End.EXPIRED if row.spends is Spends.NOTHING else End.EXHAUSTED


def test_the_testing_kit_has_every_row_with_its_end() -> None:
    """`tests/integration/test_testing_kit.py` plays them to a worker."""
    assert {row.name: end_of(row) for row in ROWS} == ENDS


FRAMEWORKS: Final = {"fastapi.py", "trace.py"}
"""`django` and `testing` are packages of their own."""


def statements(path: Path) -> int:
    """Count a module's statements. Docstrings are none; a line break within one makes no second."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.stmt)]
    return sum(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes)


def test_the_core_of_the_client_can_be_read_in_one_sitting() -> None:
    modules = [path for path in (CLIENT / "voicecode_client").glob("*.py") if path.name not in FRAMEWORKS]
    assert sum(statements(path) for path in modules) <= 300
    assert sum(bool(line.strip()) for line in (core.SCRIPT).splitlines()) <= 50
