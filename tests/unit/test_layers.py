import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("config", "worker", "tasks")
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
MAX_LINES = 250
TABLES = {ROOT / "config" / "replies.py", ROOT / "config" / "settings.py"}
"""One row a reply, one field a setting, however many there are."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def upward(path: Path) -> list[str]:
    higher = LAYERS[LAYERS.index(path.relative_to(ROOT).parts[0]) + 1 :]
    return [name for name in imported(path) if name.split(".")[0] in {*higher, "tests", "benchmarks"}]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    """`config <- worker <- tasks`: a layer knows nothing of those above it, nor of the tests."""
    assert upward(path) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_of_ours_is_absolute(path: Path) -> None:
    assert [name for name in imported(path) if name.startswith(".")] == []


@pytest.mark.parametrize("path", sorted(set(MODULES) - TABLES), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_in_one_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_benchmarks_stand_above_the_layers(path: Path) -> None:
    """They may use everything but the tasks and the tests themselves, and no module of theirs is longer than ours."""
    used = [name for name in imported(path) if name.split(".")[0] in {"tasks", "tests"}]
    assert [name for name in used if not name.startswith("tests.support.")] == []
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_top_level_is_the_promised_one() -> None:
    """The layout is a promise to those who look for things: nothing of it missing, no other package beside the three."""
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
