"""Health: `voicecode-health --live` or `--ready`, by the age of the files that a worker touches.

--live   the consuming loop and its threads turn, also while they wait for Redis.
         If it fails, restart the worker.
--ready  the queue and the ledger answer (the default).
         If it fails, alert and do not restart: that would lose outcomes while Redis is away.

Without VOICECODE_HEARTBEAT_FILE it checks every worker that runs on this machine.
It uses the standard library only and reads two settings: containers run it every few seconds.
`python -S -m worker.process.health` works, too.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

from config import health
from worker.process.heartbeat_file import is_held

FILE_VARIABLE: Final = "VOICECODE_HEARTBEAT_FILE"
MAX_AGE_VARIABLE: Final = "VOICECODE_HEARTBEAT_MAX_AGE_SECONDS"
USAGE: Final = "usage: voicecode-health [--live | --ready]"


def problem(*, live: bool = False) -> str | None:
    """Return what is wrong, in one line, or None."""
    chosen = os.environ.get(FILE_VARIABLE)
    limit = os.environ.get(MAX_AGE_VARIABLE) or health.HEARTBEAT_MAX_AGE_SECONDS
    try:
        max_age_seconds = float(limit)
    except ValueError:
        return f"{MAX_AGE_VARIABLE} is not a number"
    files = [Path(chosen)] if chosen else [file for file in health.named_files() if is_held(file)]
    if not files:
        return f"no heartbeat: no worker on this machine has a file {health.HEARTBEAT_FILE}.NAME"
    return next((found for file in files if (found := _problem(file, max_age_seconds, live=live))), None)


def _problem(file: Path, max_age_seconds: float, *, live: bool) -> str | None:
    wrong = "the worker does not consume"
    if live:
        file, max_age_seconds = health.live_file(file), health.LIVE_FACTOR * max_age_seconds
        wrong = "the worker hangs"
    try:
        touched = file.stat().st_mtime
    except OSError as error:
        return f"no heartbeat: {file}: {error.strerror}: the worker has not begun to consume"
    age_seconds = time.time() - touched
    if touched == health.NOT_BEGUN:
        return f"no heartbeat: {file}: the worker has not begun to consume"
    if not age_seconds <= max_age_seconds:
        limit = f"more than {max_age_seconds:g} s"
        return f"the last heartbeat is {age_seconds:.0f} s old, {limit}: {wrong} ({file})"
    return None


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all is well, 1 after printing what is wrong, 2 for wrong arguments."""
    given = sys.argv[1:] if arguments is None else arguments
    if given not in ([], ["--live"], ["--ready"]):
        print(USAGE, file=sys.stderr)  # noqa: T201 - to the person who typed it
        return 0 if given in (["--help"], ["-h"]) else 2
    wrong = problem(live=given == ["--live"])
    if wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - the container's log of health checks shows it
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
