import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("build", "runtime", "image", "dev")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;]+)", re.MULTILINE)
GENERATED = {"__pycache__", "build", "dist"}


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> set[tuple[str, str]]:
    return set(PINNED.findall(lock_text(name)))


def names(requirements: list[Any]) -> set[str]:
    requirements = [requirement for requirement in requirements if isinstance(requirement, str)]
    return {re.split(r"[\[<>=~! ;]", requirement)[0].lower() for requirement in requirements}


def project_files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts[:-1])
        if path.is_file() and not hidden and not GENERATED & set(parts) and ".egg-info" not in str(path):
            yield path


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_no_path(name: str) -> None:
    """It holds on every machine, whatever registry that machine asks."""
    text = lock_text(name)
    assert "://" not in text
    assert [
        line
        for line in text.splitlines()
        if line.startswith(("-", "/", ".")) or " @ " in line or "file:" in line
    ] == []


def test_the_locks_of_the_integrations_name_no_host_either() -> None:
    folder = ROOT / "tests" / "integrations" / "environments"
    assert (
        {path.stem for path in folder.glob("*.in")} == {path.stem for path in folder.glob("*.txt")} != set()
    )
    for path in folder.glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        assert text.count("--hash=sha256:") >= len(PINNED.findall(text)) > 0


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes(name: str) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", lock_text(name), flags=re.MULTILINE))
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert len(blocks) == len(pins(name))


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """A dependency that was added or removed without `./run lock` is found here."""
    runtime = names(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    extra = {name for requirements in extras.values() for name in names(requirements)}
    build = names(PROJECT["dependency-groups"]["build"])
    group = names(PROJECT["dependency-groups"]["dev"]) | build
    locked = {name for name, _ in pins("runtime")}
    assert runtime <= locked
    assert not (extra | group) & locked
    assert {name for name, _ in pins("build")} == build
    assert runtime | extra | group <= {name for name, _ in pins("dev")}


def test_tests_run_on_the_versions_that_production_gets() -> None:
    assert pins("runtime") | pins("build") | pins("image") <= pins("dev")
    assert pins("runtime") <= pins("image")


@pytest.mark.parametrize("command", ["run", ".ci/run"])
def test_a_command_is_executable(command: str) -> None:
    assert (ROOT / command).stat().st_mode & 0o111


def test_no_file_names_a_home_or_a_machine() -> None:
    home = re.compile(rb"/(?:root|home|Users)/[a-z]")
    assert [str(path.relative_to(ROOT)) for path in project_files() if home.search(path.read_bytes())] == []
