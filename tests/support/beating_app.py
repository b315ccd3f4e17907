"""The worker's app and its health check, with heartbeat files elsewhere than in /tmp.

`HEARTBEAT_PREFIX` is the prefix of the files. As a program it is the health check.
"""

import os
import sys
from typing import Any

from config import health

health.HEARTBEAT_FILE = os.environ["HEARTBEAT_PREFIX"]  # type: ignore[misc]


def __getattr__(name: str) -> Any:
    if name == "app":
        from worker.app import app  # noqa: PLC0415 - only in a worker

        return app
    raise AttributeError(name)


if __name__ == "__main__":
    from worker.process.health import main

    sys.exit(main(sys.argv[1:]))
