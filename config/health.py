"""Health: what a worker and its health check agree on.

Standard library only: the check runs every few seconds.
"""

from pathlib import Path
from typing import Final

HEARTBEAT_FILE: Final = "/tmp/voicecode-heartbeat"  # noqa: S108 - in the worker's own container
HEARTBEAT_MAX_AGE_SECONDS: Final = 15.0
LIVE_FACTOR: Final = 4
"""A worker may take so many times longer for a sign of life than for one of readiness."""
STALLED_SECONDS: Final = 60.0
"""A thread whose step lasts longer than this is stuck: each wait for Redis takes seconds."""


def live_file(heartbeat_file: Path) -> Path:
    """Return the file that is touched while the worker lives, whether or not Redis answers."""
    return heartbeat_file.with_name(heartbeat_file.name + ".live")
