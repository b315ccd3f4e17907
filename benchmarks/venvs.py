"""A virtual environment for each peer, made on first use under `.venv-bench/` from its lock.

Peers are what `./run bench` measures, and what `./run integrations` tries us with.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = ROOT / "benchmarks" / "peers"
_FOLDERS: Final = (PEERS, ROOT / "tests" / "integrations" / "environments")
VENVS: Final = ROOT / ".venv-bench"


class SetUpError(Exception):
    """An environment could not be made; the text holds the command and what it said."""


def bin_of(name: str) -> Path:
    """Return the folder of a peer's programs.

    Makes its environment if it is missing or of an older lock. Raises SetUpError.
    """
    folder = VENVS / name
    (lock,) = (found for peers in _FOLDERS if (found := peers / f"{name}.txt").is_file())
    stamp = folder / "voicecode-stamp"
    wanted = hashlib.sha256(f"{folder} {sys.version_info[:2]}".encode() + lock.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"Setting up .venv-bench/{name} (once) ...", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        for step in _steps(folder, lock):
            _carry_out(step)
        stamp.write_text(wanted)
    return folder / "bin"


def _steps(folder: Path, lock: Path) -> list[list[str]]:
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--quiet", "--python", sys.executable, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    elif importlib.util.find_spec("pip"):
        make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
        install = [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--python",
            python,
            "install",
        ]
    elif importlib.util.find_spec("ensurepip"):
        make = [sys.executable, "-m", "venv", str(folder)]
        install = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    else:
        message = (
            "needs uv or pip to install the peers.\nCure: pip install uv, or apt-get install python3-venv"
        )
        raise SetUpError(message)
    return [make, [*install, "--require-hashes", "-r", str(lock)]]


def write_locks() -> None:
    """Resolve every `*.in` into a hashed lock without a host. Needs uv; raises SetUpError."""
    uv = shutil.which("uv")
    if uv is None:
        message = "locking needs uv.\nCure: pip install uv"
        raise SetUpError(message)
    options = [
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-annotate",
        "--upgrade",
    ]
    options += [
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--custom-compile-command",
        "./run bench --lock",
    ]
    for source in sorted(file for peers in _FOLDERS for file in peers.glob("*.in")):
        _carry_out(
            [uv, "pip", "compile", *options, str(source), "--output-file", str(source.with_suffix(".txt"))]
        )


def _carry_out(step: list[str]) -> None:
    done = subprocess.run(step, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"$ {' '.join(step)}\n{done.stdout}{done.stderr}".strip()
        raise SetUpError(message)
