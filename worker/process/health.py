"""Is the worker consuming? `python -S -m worker.process.health` reads the heartbeat file's age.

It uses the standard library only and reads two settings: containers run it every few seconds.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

from config.health import HEARTBEAT_FILE, HEARTBEAT_MAX_AGE_SECONDS

FILE_VARIABLE: Final = "VOICECODE_HEARTBEAT_FILE"
MAX_AGE_VARIABLE: Final = "VOICECODE_HEARTBEAT_MAX_AGE_SECONDS"


def problem() -> str | None:
    """Return what is wrong, in one line, or None."""
    file = Path(os.environ.get(FILE_VARIABLE) or HEARTBEAT_FILE)
    limit = os.environ.get(MAX_AGE_VARIABLE) or HEARTBEAT_MAX_AGE_SECONDS
    try:
        max_age_seconds = float(limit)
    except ValueError:
        return f"{MAX_AGE_VARIABLE} is no number"
    try:
        age_seconds = time.time() - file.stat().st_mtime
    except OSError as error:
        return f"no heartbeat: {file}: {error.strerror}: the worker has not begun to consume"
    if not age_seconds <= max_age_seconds:
        return f"the last heartbeat is {age_seconds:.0f} s old, more than {max_age_seconds:g} s: the worker does not consume"
    return None


def main() -> int:
    """Return 0 when the worker consumes, else print why not and return 1."""
    wrong = problem()
    if wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - the container's log of health checks shows it
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
