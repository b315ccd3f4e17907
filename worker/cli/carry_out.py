"""Carry out: a run's steps, so that Ctrl-C or a lost Redis still say what was done."""

import collections
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from worker.cli.exit_codes import NO_REDIS, PARTIAL
from worker.cli.terminal import say

if TYPE_CHECKING:
    from rich.progress import Progress

    from worker.failure_queue import Choice, FailureQueue, Filter, Plan
    from worker.failure_queue.replay import Replay

INTERRUPTED = "interrupted: the same command continues with the rest"
FOLLOW_SECONDS = 30.0


def add_up(batches: Iterable[Any]) -> tuple[collections.Counter[Any], str, int]:
    """Return the counts of all batches, why they ended early, and the exit code of that."""
    import redis  # noqa: PLC0415 - `--help` does without it

    from worker.failure_queue import RunCancelled  # noqa: PLC0415 - the same

    total: collections.Counter[Any] = collections.Counter()
    try:
        for counts in batches:
            total.update(counts)
    except KeyboardInterrupt:
        return total, INTERRUPTED, PARTIAL
    except RunCancelled as cancelled:
        return total, str(cancelled), PARTIAL
    except redis.RedisError as error:
        return total, _lost(error), NO_REDIS
    return total, "", PARTIAL


def replay(run: "Replay", *, quiet: bool) -> int:
    """Carry a replay out, with a progress bar; return the exit code for an early end."""
    import redis  # noqa: PLC0415 - `--help` does without it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    progress = run.progress
    bar = _bar(TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), quiet=quiet)
    with bar:
        task = bar.add_task("", total=progress.total)
        try:
            for _ in run:
                bar.update(task, completed=progress.done)
        except KeyboardInterrupt:
            progress.stopped = INTERRUPTED
        except redis.RedisError as error:
            progress.stopped = _lost(error)
            return NO_REDIS
    return PARTIAL


def plan(queue: "FailureQueue", wanted: "Filter", choice: "Choice", *, quiet: bool) -> "Plan":
    """Plan a replay, and say on a terminal how many dead letters it has looked at."""
    from rich.progress import TextColumn, TimeElapsedColumn  # noqa: PLC0415 - `--help` does without it

    columns = (TextColumn("planning, looked at {task.completed:,}"), TimeElapsedColumn())
    bar = _bar(*columns, quiet=quiet, transient=True)
    with bar:
        task = bar.add_task("")
        return queue.plan(wanted, choice, looked_at=lambda count: bar.update(task, completed=count))


def follow(queue: "FailureQueue", run: str, *, quiet: bool) -> dict[str, int]:
    """Watch a run's codes until they have ended, or none has for a while; return the counts."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415 - the same

    from worker.failure_queue.outcomes import Outcome, Outcomes  # noqa: PLC0415 - the same

    counts: collections.Counter[Outcome] = collections.Counter()
    bar = _bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), quiet=quiet, transient=True
    )
    with bar:
        task = bar.add_task("calling", total=None)
        try:
            for counts in Outcomes(queue.client, run).follow(FOLLOW_SECONDS):
                left = counts[Outcome.WAITING]
                told = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
                bar.update(task, total=counts.total(), completed=counts.total() - left, description=told)
        except KeyboardInterrupt:
            say(f"The codes go on. See them by: voicecode dead run show {run}", err=True)
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _bar(*columns: Any, quiet: bool, transient: bool = False) -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - `--help` does without it
    from rich.progress import Progress  # noqa: PLC0415 - the same

    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    # A dumb terminal cannot take a transient line back.
    off = quiet or not sys.stderr.isatty() or (transient and console.is_dumb_terminal)
    return Progress(*columns, console=console, disable=off, transient=transient)


def _lost(error: Exception) -> str:
    return f"Redis cannot be reached, or refused the command: {str(error).partition(chr(10))[0]}"
