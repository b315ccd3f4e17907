"""The failure queue: see, understand, replay. `FailureQueue` has every operation; one file each for how it is done.

1. `filters`, `scan`   which dead letters are meant, found through the indexes that the scripts keep
2. `stats`             the queue at a glance
3. `plan`, `replay`, `canary`   back to the queue, with care
4. `removal`, `transfer`        discard and undo, purge, export and import
5. `retention`            what upkeep does by itself: retention by age, spill over a bound
6. `audit`             who did what
"""

from worker.failure_queue.filters import Filter
from worker.failure_queue.plan import Choice, Plan
from worker.failure_queue.queue import Entry, FailureQueue, Page
from worker.failure_queue.replay import Pace, Progress
from worker.failure_queue.stats import Stats

__all__ = ["Choice", "Entry", "FailureQueue", "Filter", "Pace", "Page", "Plan", "Progress", "Stats"]
