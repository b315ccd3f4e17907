"""Environments of other people's programs: Python packages from hashed locks, and Node's."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.venvs import bin_of

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = ROOT / "clients" / "python"
EXAMPLES: Final = ROOT / "examples"
LIMIT_SECONDS: Final = 240


def python_of(name: str) -> Path:
    """Return the Python of an environment, which is made on first use."""
    return bin_of(name) / "python"


def installed_client(folder: Path) -> Path:
    """Build the client's wheel and unpack it: as `pip install clients/python` would leave it."""
    source = folder / "source"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run([str(python_of("web")), "-c", program, str(folder)], cwd=source)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def node_modules(folder: Path, *packages: str) -> Path:
    """Install packages from the registry into a folder of the tests; leave no lock."""
    run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", *packages], cwd=folder)
    return folder


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, given: str | None = None
) -> str:
    """Run a program to its end and return what it said; AssertionError if it failed."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOICECODE_", "PYTEST_", "REDIS_URL"))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
