"""Servers of several versions, for what must work on all of them."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Final

from worker.embedded.server import ServerError, find_binary

VARIABLE: Final = "REDIS_SERVERS"
"""Paths of further server programs, with colons between."""
VERSIONS: Final = ("6.2", "7.0", "valkey")


def programs() -> Iterator[str]:
    """Return the programs that are there."""
    with contextlib.suppress(ServerError):
        yield find_binary()
    yield from filter(None, os.environ.get(VARIABLE, "").split(":"))


def program_of(version: str) -> str | None:
    """Return a program of one of VERSIONS, or None if there is none."""
    for program in programs():
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"v=([0-9]+\.[0-9]+)", shown)
        name = "valkey" if shown.lower().startswith("valkey") else found and found[1]
        if name == version:
            return program
    return None
