import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
HIDE_INSTALLERS = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ("pip", "ensurepip") else real(name, *more)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a folder with the bare set-up in it, and a space in its name."""
    folder = tmp_path / "a copy"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("run", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def run(copy: Path) -> ModuleType:
    """Give `run` as a module; its `.venv` is made by steps of ours that install nothing."""
    loader = importlib.machinery.SourceFileLoader("run_copy", str(copy / "run"))
    spec = importlib.util.spec_from_loader("run_copy", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def shell(text: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", f"import os, pathlib; os.chdir({str(folder)!r}); {text}"]


def steps(copy: Path, *, last: str = "pass") -> list[list[str]]:
    link = f"os.symlink({sys.executable!r}, '.venv/bin/python')"
    make = f"os.makedirs('.venv/bin'); {link}; open('made', 'a').write('x')"
    return [shell(make, copy), shell(last, copy)]


def start(copy: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "run", *arguments]
    return subprocess.run(
        command, cwd=copy, env={"PATH": str(copy), **environment}, capture_output=True, text=True, check=False
    )


def test_the_environment_is_made_once(run: ModuleType, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "set_up_steps", lambda: steps(copy))
    run.set_up()
    run.set_up()
    assert (copy / "made").read_text() == "x"


@pytest.mark.parametrize("changed", ["requirements/dev.txt", "pyproject.toml"])
def test_a_changed_lock_makes_it_afresh(
    changed: str, run: ModuleType, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "set_up_steps", lambda: steps(copy))
    run.set_up()
    (copy / ".venv" / "old").touch()
    with (copy / changed).open("a") as file:
        file.write("# changed\n")
    run.set_up()
    assert (copy / "made").read_text() == "xx"
    assert not (copy / ".venv" / "old").exists()


def test_a_set_up_that_broke_off_starts_over(
    run: ModuleType, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run, "set_up_steps", lambda: steps(copy, last="raise SystemExit('no route to the registry')")
    )
    with pytest.raises(SystemExit, match=r"(?s)Is the network up\?.*no route to the registry"):
        run.set_up()
    assert not run.is_fresh()
    monkeypatch.setattr(run, "set_up_steps", lambda: steps(copy))
    run.set_up()
    assert run.is_fresh()


def test_an_environment_whose_python_is_gone_is_made_afresh(
    run: ModuleType, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "set_up_steps", lambda: steps(copy))
    run.set_up()
    python = copy / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(copy / "uninstalled")
    run.set_up()
    assert python.exists()


def test_without_pip_and_uv_it_names_the_cure(copy: Path) -> None:
    (copy / "hide").mkdir()
    (copy / "hide" / "sitecustomize.py").write_text(HIDE_INSTALLERS)
    done = start(copy, "test", PYTHONPATH=str(copy / "hide"))
    assert done.returncode == 1
    assert "apt-get install python3-pip" in done.stderr
    assert not (copy / ".venv").exists()


def test_an_old_python_names_the_cure_or_hands_over_to_a_newer_one(copy: Path) -> None:
    file = copy / "run"
    file.write_text(file.read_text().replace("OLDEST = (3, 11)", "OLDEST = (9, 0)"))
    done = start(copy, "test")
    assert done.returncode == 1
    assert "apt-get install python3.11" in done.stderr

    newer = copy / "python3.12"
    newer.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "newer: $@"\n')
    newer.chmod(0o755)
    assert (
        start(copy, "check", "--now", PATH=f"{copy}:{os.defpath}").stdout
        == f"newer: {copy / 'run'} check --now\n"
    )


def test_help_needs_no_environment(copy: Path) -> None:
    done = start(copy)
    assert done.returncode == 0
    assert "./run COMMAND" in done.stdout
    assert not (copy / ".venv").exists()
    assert start(copy, "dmeo").returncode == 2
