"""`voicecode dead discard`, `undo` and `purge`."""

from typing import Any

import click

from worker.cli.carry_out import add_up
from worker.cli.common import DONE, NOTHING, PARTIAL, agree, end, json_option, open_queue, yes_option
from worker.cli.filters import all_option, chosen, filter_options
from worker.cli.terminal import say, say_json


@click.command(short_help="Take dead letters out of the queue.")
@click.argument("keys", nargs=-1)
@filter_options
@all_option
@click.option("--dry-run", is_flag=True, help="Only print how many would be affected.")
@yes_option
@json_option
def discard(wanted: Any, *, everything: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take dead letters out of the queue: KEYS, or what the filters select.

    `undo` brings them back for VOICECODE_DISCARD_UNDO_HOURS (24).
    """
    from worker.failure_queue import DiscardStatus  # noqa: PLC0415 - `--help` does without it

    chosen(wanted, everything=everything)
    queue = open_queue(wanted)
    keys = tuple(queue.keys(wanted))
    if not keys:
        end(NOTHING, "No dead letter matches.")
    if dry_run:
        say_json({"matching": len(keys)}) if as_json else say(
            f"{len(keys):,} dead letters would be discarded."
        )
        return
    agree(f"Discard {len(keys):,} dead letters?", yes=yes)
    run = queue.new_run()
    counts, stopped, code = add_up(queue.discard(keys, run=run, asked=str(wanted)))
    discarded = counts[DiscardStatus.DISCARDED]
    if as_json:
        left = len(keys) - discarded
        say_json({"run": run, "discarded": discarded, "left": left, "stopped": stopped})
    else:
        hours = queue.settings.discard_undo_hours
        say(f"Discarded {discarded:,}. To undo it within {hours:g} hours: voicecode dead undo --run {run}")
    end(code if stopped else DONE if discarded == len(keys) else PARTIAL if discarded else NOTHING, stopped)


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--run", metavar="RUN", help="Bring back everything that this run of `discard` took out.")
@json_option
def undo(keys: tuple[str, ...], run: str | None, *, as_json: bool) -> None:
    """Bring discarded dead letters back: KEYS, or all of one run."""
    if not keys and not run:
        message = "name keys, or add --run"
        raise click.UsageError(message)
    from worker.failure_queue import UndoStatus  # noqa: PLC0415 - `--help` does without it

    queue = open_queue()
    own = queue.new_run()
    statuses, stopped, code = add_up(queue.undo(run=run, keys=keys, name=own))
    restored, total = statuses[UndoStatus.RESTORED], statuses.total()
    if not total and not stopped:
        end(NOTHING, f"Nothing is left of run {run}: the time for an undo may be over.")
    if as_json:
        say_json({"run": own, "undone": run, "restored": restored, "statuses": statuses, "stopped": stopped})
    else:
        undone = f" of run {run}" if run else ""
        say(f"Brought back {restored:,} of {total:,}{undone}. Run {own}.")
    end(code if stopped else DONE if restored == total else PARTIAL if restored else NOTHING, stopped)


@click.command()
@click.option(
    "--older-than", metavar="AGE", required=True, help="Delete what died longer ago than this: 12h, 30d."
)
@click.option("--dry-run", is_flag=True, help="Only print how many would be affected.")
@yes_option
@json_option
def purge(older_than: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete old dead letters for good. `discard` can be undone; this cannot."""
    from worker.failure_queue.timestamps import seconds  # noqa: PLC0415 - `--help` does without it

    queue = open_queue()
    try:
        age = seconds(older_than)
        count = queue.count_older(age)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not count:
        end(NOTHING, f"No dead letter is older than {older_than}.")
    if dry_run:
        say_json({"matching": count}) if as_json else say(f"{count:,} dead letters would be deleted.")
        return
    agree(f"Delete {count:,} dead letters for good?", yes=yes)
    own = queue.new_run()
    batches = queue.purge(older_than_seconds=age, name=own)
    counts, stopped, code = add_up({"purged": number} for number in batches)
    purged = counts["purged"]
    if as_json:
        say_json({"run": own, "purged": purged, "stopped": stopped})
    else:
        say(f"Deleted {purged:,}. Run {own}.")
    end(code if stopped else DONE if purged >= count else PARTIAL if purged else NOTHING, stopped)
