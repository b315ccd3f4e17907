"""Health: what a worker and its health check agree on.

Standard library only: the check runs every few seconds.
"""

from pathlib import Path
from typing import Final

HEARTBEAT_FILE: Final = "/tmp/voicecode-heartbeat"  # noqa: S108 - it holds nothing, and links are not followed
"""Without a setting a worker touches this file's namesake: `.` and the worker's name behind it."""
HEARTBEAT_MAX_AGE_SECONDS: Final = 15.0
LIVE_FACTOR: Final = 4
"""A worker may take so many times longer for a sign of life than for one of readiness."""
STALLED_SECONDS: Final = 60.0
"""A thread whose step lasts longer than this is stuck: each wait for Redis takes seconds."""
NOT_BEGUN: Final = 1.0
"""Modification time of a heartbeat file that nobody has touched yet."""


def live_file(heartbeat_file: Path) -> Path:
    """Return the file that is touched while the worker lives, whether or not Redis answers."""
    return heartbeat_file.with_name(heartbeat_file.name + ".live")


def named_after(worker: str) -> Path:
    """Return the file that a worker of this name touches where no setting names one."""
    return Path(f"{HEARTBEAT_FILE}.{worker.replace('/', '_')}")


def named_files() -> list[Path]:
    """Return the heartbeat files of this machine's workers, dead ones included."""
    prefix = Path(HEARTBEAT_FILE)
    found = set(prefix.parent.glob(f"{prefix.name}.*"))
    return sorted(found - {live_file(file) for file in found})
