"""An operator at the command line: in a pipe, or at a terminal that answers questions."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
VOICECODE: Final = (sys.executable, "-m", "worker.cli")


def in_pipe(
    env: Mapping[str, str], *words: str, command: tuple[str, ...] = VOICECODE
) -> subprocess.CompletedProcess[str]:
    """Run `voicecode WORDS` without a terminal."""
    return subprocess.run(
        [*command, *words],
        env=dict(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def at_terminal(
    env: Mapping[str, str],
    *words: str,
    answers: str = "",
    seconds: float = 60,
    columns: int = 118,
    colour: bool = False,
) -> tuple[int, str]:
    """Run `voicecode WORDS` on a terminal, typing `answers` when it asks.

    Returns the exit code and the screen's text.
    """
    screen, keyboard = pty.openpty()
    plain = {**env, "TERM": "dumb", "COLUMNS": str(columns), "LINES": "50", "NO_COLOR": "" if colour else "1"}
    with subprocess.Popen(
        [*VOICECODE, *words], env=plain, cwd=ROOT, stdin=keyboard, stdout=keyboard, stderr=keyboard
    ) as process:
        os.close(keyboard)
        seen, typed, end = b"", False, time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([screen], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(screen, 65536)
            except OSError:  # Linux: the other end was closed
                break
            if not piece:
                break
            seen += piece
            if answers and not typed and b"[y/N]" in seen:
                os.write(screen, answers.encode() + b"\n")
                typed = True
        else:
            process.kill()
        os.close(screen)
    return process.returncode, re.sub(r"[ \t]+\n", "\n", seen.decode().replace("\r\n", "\n"))
