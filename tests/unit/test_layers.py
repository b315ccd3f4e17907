"""The layout: which layer and which room may know which other one, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("config", "worker", "tasks")
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
MAX_LINES = 250
MAX_FILES_IN_WORKER = 12
FLOORS: Final[tuple[tuple[str, ...], ...]] = (
    ("envelope", "message", "reply", "retry"),
    ("store",),
    ("sealing",),
    ("gateway", "incidents", "sending"),
    ("ledger",),
    ("failure_queue", "reach", "report"),
    ("erasure",),
    ("delivery",),
    ("transport",),
    ("tracing", "upkeep"),
    ("components",),
    ("app",),
    ("diagnosis", "producer"),
    ("metrics",),
    ("console",),
    ("cli", "demo"),
)
"""Rooms of `worker/`, from the ground up.

A room knows those on lower floors; the values on the ground floor know each other.
"""
APART: Final = ("embedded", "process", "simulator")
"""Rooms that know no other room, and that every room above the ground floor may use."""
LAZY: Final = "worker/__init__.py"
"""Builds the app when Celery asks for it."""
TABLES = {
    ROOT / "config" / "replies.py",
    ROOT / "config" / "settings.py",
    ROOT / "worker" / "console" / "telling" / "texts.py",
}
"""One row a reply, one field a setting, one row a text, however many there are."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "worker":
            yield from (f"worker.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def upward(path: Path) -> list[str]:
    higher = LAYERS[LAYERS.index(path.relative_to(ROOT).parts[0]) + 1 :]
    return [name for name in imported(path) if name.split(".")[0] in {*higher, "tests", "benchmarks"}]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    """`config <- worker <- tasks`: a layer knows nothing of those above it, nor of the tests."""
    assert upward(path) == []


def room_of(path: Path) -> str:
    """Return the room of a module in `worker/`: its folder, or its own name on the ground."""
    return path.relative_to(ROOT / "worker").parts[0].removesuffix(".py")


def may_know(room: str, other: str) -> bool:
    if other == room:
        return True
    if room in APART:
        return False
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    if other in APART:
        return floor[room] > 0
    return floor[other] < floor[room] or floor[other] == floor[room] == 0


IN_WORKER = [path for path in MODULES if path.is_relative_to(ROOT / "worker") and path != ROOT / LAZY]


@pytest.mark.parametrize("path", IN_WORKER, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_knows_only_those_below_it(path: Path) -> None:
    """A new room gets a floor first: that is the decision which this test asks for."""
    known = [name.split(".")[1] for name in imported(path) if name.startswith("worker.")]
    assert [name for name in known if not may_know(room_of(path), name)] == []


def test_every_room_has_a_floor_and_few_files_lie_on_the_ground() -> None:
    rooms = {room_of(path) for path in IN_WORKER}
    assert rooms <= {*APART, *(name for names in FLOORS for name in names)}
    assert len(list((ROOT / "worker").glob("*.py"))) <= MAX_FILES_IN_WORKER


@pytest.mark.parametrize(
    "path", sorted((ROOT / "worker").glob("*/__init__.py")), ids=lambda path: path.parent.name
)
def test_a_package_says_what_it_is_for(path: Path) -> None:
    """One sentence first; what is imported beside it is there to be used by others."""
    tree = ast.parse(path.read_text())
    first = (ast.get_docstring(tree) or "").split("\n\n")[0]
    assert first.rstrip().endswith((".", ":"))
    public = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    listed = [
        set(ast.literal_eval(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert listed in ([], [public])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_of_ours_is_absolute(path: Path) -> None:
    assert [name for name in imported(path) if name.startswith(".")] == []


@pytest.mark.parametrize("path", sorted(set(MODULES) - TABLES), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_in_one_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_benchmarks_stand_above_the_layers(path: Path) -> None:
    """They may use everything but tasks and tests; their modules keep to the same length."""
    used = [name for name in imported(path) if name.split(".")[0] in {"tasks", "tests"}]
    assert [name for name in used if not name.startswith("tests.support.")] == []
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_top_level_is_the_promised_one() -> None:
    """The layout is a promise to readers: nothing is missing, and there is no other package."""
    names = {path.name for path in ROOT.iterdir()}
    promised = {
        "pyproject.toml",
        "worker",
        "tasks",
        "config",
        "tests",
        "docker-compose.yml",
        "Dockerfile",
        "README.md",
    }
    assert names >= promised | {"LICENSE", "docs", "run", ".ci", "requirements"}
    assert {
        path.parent.name for path in ROOT.glob("*/__init__.py") if not path.parent.name.startswith(".")
    } == set(LAYERS)
