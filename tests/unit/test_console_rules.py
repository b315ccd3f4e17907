"""The console holds no second implementation of any action, and every page asks for a right."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from worker.console.access.roles import RIGHTS, Right, Role
from worker.console.access.users import COST
from worker.console.acts.intent import Intent, Options
from worker.console.acts.query import query_of, wanted_of
from worker.console.pages.table import PAGES
from worker.console.samples import quantile
from worker.console.telling.curves import HEIGHT, WIDTH, draw
from worker.console.web.forms import own_path, read_query

CONSOLE: Final = Path(__file__).parents[2] / "worker" / "console"
MODULES: Final = sorted(CONSOLE.rglob("*.py"))
OWN: Final = {"users.py", "sessions.py", "tries.py", "intent.py", "samples.py"}
"""Modules that write keys of the console's own, under `CONSOLE_PREFIX`."""
WRITES: Final = {
    *("set", "hset", "hsetnx", "hdel", "delete", "unlink", "expire", "incr", "zadd", "zrem", "sadd", "srem"),
    *(
        "xadd",
        "lpush",
        "rpush",
        "ltrim",
        "lrem",
        "persist",
        "rename",
        "restore",
        "execute_command",
        "publish",
    ),
}
SCRIPTS: Final = {"register_script", "eval", "evalsha", "script_load", "Script", "fcall"}


def calls(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            found.add(node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CONSOLE)))
def test_the_console_writes_nothing_but_its_own(path: Path) -> None:
    """What changes a code, a run or the fleet is a call of what the command line calls."""
    used = calls(path)
    assert used & SCRIPTS == set()
    if path.name not in OWN:
        assert used & (WRITES - {"set"}) == set()
        return
    source = path.read_text("utf-8")
    assert "names.CONSOLE_PREFIX +" in source
    assert set(re.findall(r"names\.([A-Z_]+)", source)) == {"CONSOLE_PREFIX"}


def test_the_console_has_no_lua() -> None:
    assert list(CONSOLE.rglob("*.lua")) == []


def test_only_pages_about_logging_in_are_open_to_strangers() -> None:
    opened = {page.path for page in PAGES if page.right is None}
    assert opened == {"/login", "/enter", "/logout", "/preferences"}


def test_a_password_costs_whoever_guesses() -> None:
    assert COST["n"] * COST["r"] * COST["p"] * 128 >= 32 * 2**20


def test_a_role_has_the_rights_of_the_one_below() -> None:
    assert RIGHTS[Role.VIEWER] == {Right.SEE}
    assert RIGHTS[Role.VIEWER] < RIGHTS[Role.OPERATOR] < RIGHTS[Role.ADMIN] == set(Right)


@pytest.mark.parametrize(
    "text",
    [
        *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "dead"),
        *("/\tdead", "\\\\evil", "/x\r\nSet-Cookie: a=b", "http:/dead", "/\u202edead"),
    ],
)
def test_a_visitor_is_led_to_no_other_site(text: str) -> None:
    assert own_path(text) == "/"
    assert own_path("/dead?code=405") == "/dead?code=405"


def test_a_filter_survives_its_way_through_an_address() -> None:
    address = "key=a%3A1&code=405&code=4030&reason=permanent&ends=8000&text=%E5%86%BB&rung=no&sendable=1"
    fields = read_query(address)
    wanted = wanted_of(fields, now=1.0)
    assert wanted_of(read_query(query_of(fields)), now=1.0) == wanted
    assert (wanted.codes, wanted.mobile_ends, wanted.ambiguous) == (("405", "4030"), "8000", False)
    assert query_of(fields, code=None, sendable=None, reason="expired") == (
        "key=a%3A1&reason=expired&ends=8000&text=%E5%86%BB&rung=no"
    )


@pytest.mark.parametrize(("planned", "found", "fine"), [(100, 110, True), (100, 111, False), (5, 6, False)])
def test_an_action_may_grow_by_a_tenth(planned: int, found: int, *, fine: bool) -> None:
    intent = Intent(id="i", kind="replay", who="w", query="", options=Options(), made_at=0.0, count=planned)
    assert intent.allows(found) is fine
    assert intent.stale


def test_a_curve_has_holes_where_nothing_was_measured() -> None:
    points = [(0.0, 1.0), (10.0, 2.0), (20.0, None), (30.0, 4.0)]
    curve = draw(points, now=30.0, span_seconds=30.0)
    assert [line.split()[0] for line in curve.lines] == ["0,32.0", f"{WIDTH},2.0"]
    assert (curve.last, curve.top) == (4.0, 4.0)
    assert draw([], now=1.0, span_seconds=1.0).lines == ()
    alone = f"{WIDTH},{HEIGHT - 2}.0"
    assert draw([(1.0, 0.0)], now=1.0, span_seconds=1.0).lines == (f"{alone} {alone}",)


def test_a_quantile_is_that_of_what_came_between() -> None:
    old = {"0.25": 90, "1": 100, "+Inf": 100}
    assert quantile(old, {"0.25": 90, "1": 110, "+Inf": 110}, 0.99) == 1.0
    assert quantile(old, {"0.25": 190, "1": 200, "+Inf": 201}, 0.5) == 0.25
    assert quantile(old, {"0.25": 90, "1": 100, "+Inf": 103}, 0.99) == 1.0
    assert quantile(old, old, 0.99) is None
