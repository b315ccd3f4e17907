"""A worker in which threads cannot be started: `celery -A tests.support.threadless_app worker`.

`VOICECODE_THREADLESS` says where: `start`, no thread of the pool beyond the third, or `submit`, ten
times when work is handed over; as in Python's own pool, the work is kept all the same.
"""

import concurrent.futures
import itertools
import os
import threading
from typing import Any

from worker.app import app

__all__ = ["app"]

_numbers = itertools.count()
_start = threading.Thread.start
_submit = concurrent.futures.ThreadPoolExecutor.submit
CAUSE = "can't start new thread"


def start(thread: threading.Thread) -> None:
    """Refuse the fourth thread of the pool."""
    if thread.name.startswith("ThreadPoolExecutor") and next(_numbers) >= 3:
        raise RuntimeError(CAUSE)
    _start(thread)


def submit(self: concurrent.futures.ThreadPoolExecutor, work: Any, /, *arguments: Any, **named: Any) -> Any:
    """Keep the work, and fail."""
    future = _submit(self, work, *arguments, **named)
    if work.__module__ == "worker.transport.strategy" and next(_numbers) < 10:
        raise RuntimeError(CAUSE)
    return future


if os.environ["VOICECODE_THREADLESS"] == "start":
    threading.Thread.start = start  # type: ignore[assignment, method-assign]
else:
    concurrent.futures.ThreadPoolExecutor.submit = submit  # type: ignore[assignment, method-assign]
