"""Runs: what was asked for, how far it has come, and what became of the codes."""

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import FileResponse, Response

from worker.console.web.ask import Ask, show
from worker.console.web.forms import Refused
from worker.failure_queue.outcomes import Outcome

if TYPE_CHECKING:
    from worker.console.web.console import Console
    from worker.failure_queue.runs import Run

_LISTED: Final = 50


def runs(console: "Console", ask: Ask) -> Response:
    """List the latest."""
    return show(console, ask, "runs.html", runs=console.queue(ask.who.name).runs.latest(_LISTED))


def run(console: "Console", ask: Ask) -> Response:
    """Show one."""
    found = _found(console, ask)
    return show(
        console, ask, "run.html", run=found, **_progress(console, found), **_ways(console, ask, found)
    )


def file(console: "Console", ask: Ask) -> Response:
    """Give the file of an export, as long as this process has it."""
    found = _found(console, ask)
    path = console.jobs.folder / found.run
    if found.action != "export" or found.ended_at is None or not path.is_file():
        raise Refused(404, "refused.file")
    return FileResponse(path, filename=f"dead-letters-{found.run}.jsonl", media_type="application/x-ndjson")


def _progress(console: "Console", found: "Run") -> dict[str, Any]:
    counts: dict[Outcome, int] = {}
    if found.action == "replay":
        counts = console.watched.counts(console.client, found.run, ended=found.ended_at is not None)
    replayed = sum(counts.values())
    waiting = counts.get(Outcome.WAITING, 0)
    return {
        "counts": counts,
        "replayed": replayed,
        "ended": replayed - waiting,
        "going_on": found.ended_at is None or waiting > 0,
        "outcomes": list(Outcome),
    }


def _ways(console: "Console", ask: Ask, found: "Run") -> dict[str, Any]:
    """Return what may be done about it."""
    ended = found.ended_at is not None
    return {
        "can_cancel": found.action in {"replay", "discard"} and not found.needs_undo and ask.may("replay"),
        "can_undo": found.needs_undo and ask.may("discard"),
        "has_file": found.action == "export" and ended and (console.jobs.folder / found.run).is_file(),
    }


def _found(console: "Console", ask: Ask) -> "Run":
    found = console.queue(ask.who.name).runs.get(ask.parts["run"])
    if found is None:
        raise Refused(404, "refused.run")
    return found
