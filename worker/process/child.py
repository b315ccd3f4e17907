"""One worker process of several: `python -m worker.process.child -n NAME`, a pipe as stdin.

The pipe is the supervisor's and closes when the supervisor is gone, even by SIGKILL.
This process then shuts down warmly: no worker runs without a supervisor.
"""

import importlib
import os
import signal
import sys
import threading
from typing import Final

from worker.process.shadowed import PACKAGES

GRACEFULLY: Final = signal.SIGTERM


def end_with_supervisor() -> None:
    """Wait until the pipe closes, then ask this process to end."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), GRACEFULLY)


def main() -> int:
    """Run Celery's worker in this process, and return its exit status."""
    from celery.bin.celery import celery  # noqa: PLC0415 - the pipe is watched first

    threading.Thread(target=end_with_supervisor, name="voicecode-supervisor", daemon=True).start()
    for package in PACKAGES:
        importlib.import_module(package)  # before Celery looks for them in the current folder
    return int(
        celery.main(["-A", "worker", "worker", *sys.argv[1:]], prog_name="celery", standalone_mode=False) or 0
    )


if __name__ == "__main__":
    sys.exit(main())
