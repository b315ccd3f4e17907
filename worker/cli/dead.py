"""`voicecode dead`: the failure queue. This module has the commands that only read."""

from typing import Any

import click

from worker.cli.common import NOTHING, end, json_option, open_queue
from worker.cli.discard import discard, purge, undo
from worker.cli.filters import filter_options
from worker.cli.replay import replay
from worker.cli.runs import run as run_group
from worker.cli.runs import runs
from worker.cli.terminal import say, say_json
from worker.cli.transfer import export, import_


@click.group(short_help="Work through the failure queue: codes that were not called.")
def dead() -> None:
    """Work through the failure queue: codes that were not called, each with its reason.

    At 03:00: `stats` tells what happened, `list` and `show` tell to whom. Mend the cause first;
    then `replay --dry-run` shows which codes can still be sent, and `replay --canary` sends them.
    """


@dead.command("list")
@filter_options
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Print at most this many.",
)
@click.option(
    "--cursor", metavar="CURSOR", help="Continue where the previous list ended; that list printed it."
)
@json_option
def list_(wanted: Any, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List dead letters, newest first. Filters combine: all of them must hold.

    Prints a table on a terminal. In a pipe, the columns are separated by tabs: died, key, mobile,
    reason, code, message, attempts, rung, sendable.
    """
    try:
        page = open_queue(wanted).page(wanted, limit=limit, cursor=cursor)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        for entry in page.entries:
            say_json({**entry.record.shown(), "sendable": entry.sendable, "cursor": entry.cursor})
    elif page.entries:
        from worker.cli.tables import show_entries  # noqa: PLC0415 - `--help` does without it

        show_entries(page.entries)
        if page.cursor:
            say(f"There are more: --cursor {page.cursor}", err=True)
    if not page.entries:
        end(NOTHING, "No dead letter matches.")


@dead.command(short_help="Show one dead letter and its attempts.")
@click.argument("key")
@click.option(
    "--unmasked",
    is_flag=True,
    help="Show the number in full, and the bytes of an unreadable message. The audit trail records it.",
)
@json_option
def show(key: str, *, unmasked: bool, as_json: bool) -> None:
    """Show one dead letter: its facts, and the timeline of its attempts over all replays."""
    record = open_queue().show(key, unmasked=unmasked)
    if record is None or record.state != "dead":
        what = (
            "Redis knows no such key"
            if record is None
            else f"it is {record.state}; see `voicecode status {key}`"
        )
        end(NOTHING, f"{key} is not in the failure queue: {what}")
    elif as_json:
        say_json(record.shown(unmasked=unmasked))
    else:
        from worker.cli.tables import show_record  # noqa: PLC0415 - `--help` does without it

        show_record(record, unmasked=unmasked)


@dead.command()
@json_option
def stats(*, as_json: bool) -> None:
    """Count the failure queue by reason, reply code and scope."""
    import dataclasses  # noqa: PLC0415 - `--help` does without it

    counted = open_queue().stats()
    if as_json:
        say_json(dataclasses.asdict(counted))
    else:
        from worker.cli.tables import show_stats  # noqa: PLC0415 - `--help` does without it

        show_stats(counted)


@dead.command()
@click.option("--key", metavar="KEY", help="Print only lines about this key.")
@click.option("--run", metavar="RUN", help="Print only lines of this run.")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Print at most this many.",
)
@json_option
def audit(key: str | None, run: str | None, limit: int, *, as_json: bool) -> None:
    """Show who changed the failure queue, when and how, newest first."""
    import dataclasses  # noqa: PLC0415 - `--help` does without it
    import itertools  # noqa: PLC0415 - the same

    lines = list(itertools.islice(open_queue().audit(key=key, run=run), limit))
    if as_json:
        for line in lines:
            say_json(dataclasses.asdict(line))
    elif lines:
        from worker.cli.tables import show_audit  # noqa: PLC0415 - `--help` does without it

        show_audit(lines)
    if not lines:
        end(NOTHING, "The audit trail has no such line.")


for command in (runs, run_group, replay, discard, undo, purge, export, import_):
    dead.add_command(command)
