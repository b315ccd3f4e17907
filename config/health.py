"""Health: what a worker and its health check agree on.

Standard library only: the check runs every few seconds.
"""

from typing import Final

HEARTBEAT_FILE: Final = "/tmp/voicecode-heartbeat"  # noqa: S108 - in the worker's own container
HEARTBEAT_MAX_AGE_SECONDS: Final = 15.0
