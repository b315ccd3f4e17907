"""Running: which messages the threads of this worker work on, for remote control."""

import collections
import dataclasses
import time


@dataclasses.dataclass(frozen=True, slots=True)
class RunningTask:
    """A message in a thread. `started_at`: epoch seconds."""

    task_id: str
    name: str
    started_at: float


class Running:
    """Shared by the threads; each step is one atomic operation on a dict."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self._tasks: dict[str, RunningTask] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def begin(self, tag: str, task_id: str, name: str) -> None:
        """Note that a thread has begun a message."""
        self._tasks[tag] = RunningTask(task_id, name, time.time())

    def end(self, tag: str) -> None:
        """Note that it is done with it. A count may miss one that ended at the same moment."""
        task = self._tasks.pop(tag, None)
        if task is not None:
            self._counts[task.name] += 1

    def tasks(self) -> list[RunningTask]:
        """Return what the threads work on now."""
        return list(self._tasks.values())

    def counts(self) -> dict[str, int]:
        """Return how many messages of each task were worked on."""
        return dict(self._counts)
