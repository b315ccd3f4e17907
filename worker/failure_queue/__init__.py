"""The failure queue: see, understand and replay dead letters.

`FailureQueue` has every operation as a method.

1. `filters`, `scan`, `pages`   select and list dead letters through the scripts' indexes
2. `stats`   the queue at a glance
3. `plan`, `replay`, `canary`   back to the queue, with care
4. `removal`, `transfer`   discard and undo, purge, export and import
5. `retention`, `spill`   what a worker does by itself: purge by age, files over a bound
6. `audit`   who did what
"""

from worker.failure_queue.filters import Filter
from worker.failure_queue.pages import Entry, Page
from worker.failure_queue.plan import Choice, Plan
from worker.failure_queue.queue import FailureQueue
from worker.failure_queue.replay import Pace, Progress
from worker.failure_queue.runs import RunCancelled
from worker.failure_queue.stats import Stats
from worker.failure_queue.statuses import (
    CancelStatus,
    DiscardStatus,
    RemoveStatus,
    ReplayStatus,
    RestoreStatus,
    UndoStatus,
)

__all__ = [
    "CancelStatus",
    "Choice",
    "DiscardStatus",
    "Entry",
    "FailureQueue",
    "Filter",
    "Pace",
    "Page",
    "Plan",
    "Progress",
    "RemoveStatus",
    "ReplayStatus",
    "RestoreStatus",
    "RunCancelled",
    "Stats",
    "UndoStatus",
]
