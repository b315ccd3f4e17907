"""`voicecode dead runs` and `voicecode dead run ...`: what was done, and its undoing."""

import dataclasses
from typing import Any

import click

from worker.cli.common import DONE, NOTHING, PARTIAL, USAGE, agree, end, json_option, open_queue, yes_option
from worker.cli.terminal import say, say_json


@click.command()
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Print at most this many.",
)
@json_option
def runs(limit: int, *, as_json: bool) -> None:
    """List what was done within a week: replay, discard, undo, purge, import, export, cancel."""
    found = open_queue().runs.latest(limit)
    if as_json:
        for one in found:
            say_json(dataclasses.asdict(one))
    elif found:
        from worker.cli.layout import Column, show  # noqa: PLC0415 - `--help` does without it
        from worker.failure_queue.timestamps import iso  # noqa: PLC0415 - the same

        columns = (
            Column(name="began"),
            Column(name="run"),
            Column(name="action"),
            Column(name="operator", rank=2),
            Column(name="did"),
            Column(name="asked", rank=1),
            Column(name="state", rank=3),
        )
        show(
            columns,
            ((iso(r.began_at), r.run, r.action, r.operator, _did(r), r.asked, _state(r)) for r in found),
        )
    if not found:
        end(NOTHING, "Nothing was done within a week.")


@click.group()
def run() -> None:
    """Show one run, or cancel it."""


@run.command("show")
@click.argument("name", metavar="RUN")
@json_option
def show_(name: str, *, as_json: bool) -> None:
    """Show what a run was asked for, by whom, what it did, and what became of the codes."""
    from worker.failure_queue.outcomes import Outcomes  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue.timestamps import iso  # noqa: PLC0415 - the same

    queue = open_queue()
    found = queue.runs.get(name)
    if found is None:
        end(NOTHING, f"There is no run {name}, or it is older than a week. `voicecode dead runs` lists them.")
        return
    now = Outcomes(queue.client, name).look() if found.action == "replay" else {}
    since = {outcome.value: count for outcome, count in now.items() if count}
    if as_json:
        say_json({**dataclasses.asdict(found), "since": since})
        return
    facts = {
        "run": found.run,
        "action": found.action,
        "operator": found.operator,
        "asked": found.asked,
        "planned": "" if found.planned is None else f"{found.planned:,}",
        "began": iso(found.began_at),
        "ended": iso(found.ended_at) if found.ended_at else "not yet, or it was killed",
        "did": _did(found),
        "stopped": found.stopped,
        "since then": ", ".join(f"{outcome} {count:,}" for outcome, count in since.items()),
    }
    for fact, value in facts.items():
        if value:
            say(f"{fact:<11} {value}")


@run.command()
@click.argument("name", metavar="RUN")
@yes_option
@json_option
def cancel(name: str, *, yes: bool, as_json: bool) -> None:
    """End a run that goes on, and take back what it replayed and nobody has called yet.

    What a discard took out comes back by `voicecode dead undo --run RUN`.
    """
    from worker.cli.carry_out import add_up  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue import CancelStatus  # noqa: PLC0415 - the same

    queue = open_queue()
    found = queue.runs.get(name)
    if found is None:
        end(NOTHING, f"There is no run {name}, or it is older than a week. `voicecode dead runs` lists them.")
        return
    if found.needs_undo:
        end(USAGE, f"It has ended. To bring its dead letters back: voicecode dead undo --run {name}")
    if found.ended_at is not None and found.action != "replay":
        end(NOTHING, f"The {found.action} has ended: there is nothing to cancel.")
    agree(f"Cancel {found.action} {name}?", yes=yes)
    own = queue.new_run()
    counts, stopped, code = add_up(queue.cancel(name, name=own))
    back, went_on = counts[CancelStatus.CANCELLED], counts[CancelStatus.WENT_ON]
    if as_json:
        say_json({"run": own, "cancelled": back, "went_on": went_on, "stopped": stopped})
    elif found.action != "replay":
        say(f"The {found.action} stops within a few batches, unless it is done first. Run {own}.")
    else:
        say(f"Took back {back:,}; {went_on:,} had been called, or ended. Run {own}.")
    end(code if stopped else DONE if not went_on else PARTIAL, stopped)


def _did(found: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.counts.items() if count)


def _state(found: Any) -> str:
    return found.stopped or ("" if found.ended_at else "going on, or killed")
