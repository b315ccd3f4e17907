"""`voicecode dead discard`, `undo` and `purge`."""

import collections
from collections.abc import Iterable
from typing import Any

import click

from worker.cli.common import FAILED, NOTHING, agree, end, json_option, open_queue, say_json, yes_option
from worker.cli.filters import all_option, chosen, filter_options


@click.command()
@click.argument("keys", nargs=-1)
@filter_options
@all_option
@click.option("--dry-run", is_flag=True, help="Only tell how many.")
@yes_option
@json_option
def discard(wanted: Any, *, everything: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take dead letters out of the queue: KEYS, or what a filter means. `undo` brings them back for a while."""
    chosen(wanted, everything=everything)
    queue = open_queue()
    keys = tuple(queue.keys(wanted))
    if not keys:
        end(NOTHING, "" if as_json else "No dead letter matches.")
    if dry_run:
        say_json({"matching": len(keys)}) if as_json else click.echo(
            f"{len(keys):,} dead letters would be discarded."
        )
        return
    agree(f"Discard {len(keys):,} dead letters?", yes=yes)
    run = queue.new_run()
    words = _sum(queue.discard(keys, run=run))
    if as_json:
        say_json({"run": run, "discarded": words["discarded"], "left": len(keys) - words["discarded"]})
    else:
        hours = queue.settings.discard_undo_hours
        click.echo(f"Discarded {words['discarded']:,}. For {hours:g} hours: voicecode dead undo --run {run}")
    end(FAILED if words["discarded"] < len(keys) else 0)


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--run", help="What this run of discard took out.")
@json_option
def undo(keys: tuple[str, ...], run: str | None, *, as_json: bool) -> None:
    """Bring discarded dead letters back: KEYS, or those of one run."""
    if not keys and not run:
        message = "name keys, or give --run"
        raise click.UsageError(message)
    words = _sum(open_queue().undo(run=run, keys_=keys))
    if not words.total():
        end(NOTHING, "" if as_json else f"Nothing is known of run {run}: perhaps its time is over.")
    if as_json:
        say_json({"restored": words["restored"], "words": dict(words)})
    else:
        click.echo(f"Brought back {words['restored']:,} of {words.total():,}.")
    end(FAILED if words["restored"] < words.total() else 0)


@click.command()
@click.option("--older-than", required=True, help="Age since death: 12h, 30d.")
@click.option("--dry-run", is_flag=True, help="Only tell how many.")
@yes_option
@json_option
def purge(older_than: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete old dead letters for good. `discard` can be undone, this cannot."""
    from worker.failure_queue.timestamps import seconds  # noqa: PLC0415 - `--help` does without it

    queue = open_queue()
    try:
        age = seconds(older_than)
        count = queue.count_older(age)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not count:
        end(NOTHING, "" if as_json else f"No dead letter is older than {older_than}.")
    if dry_run:
        say_json({"matching": count}) if as_json else click.echo(f"{count:,} dead letters would be deleted.")
        return
    agree(f"Delete {count:,} dead letters for good?", yes=yes)
    gone = sum(queue.purge(older_than_seconds=age))
    say_json({"purged": gone}) if as_json else click.echo(f"Deleted {gone:,}.")
    end(FAILED if gone < count else 0)


def _sum(batches: Iterable[collections.Counter[str]]) -> collections.Counter[str]:
    return sum(batches, collections.Counter[str]())
