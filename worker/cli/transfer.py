"""`voicecode dead export` and `import`."""

import collections
from pathlib import Path
from typing import Any

import click

from worker.cli.common import (
    FAILED,
    NOTHING,
    USAGE,
    agree,
    end,
    json_option,
    open_queue,
    say_json,
    yes_option,
)
from worker.cli.filters import filter_options


@click.command()
@click.option(
    "--to", "path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A new file."
)
@filter_options
@click.option("--unmasked", is_flag=True, help="Numbers and codes in full, so that `import` can read it.")
@json_option
def export(path: Path, wanted: Any, *, unmasked: bool, as_json: bool) -> None:
    """Write dead letters to a file of JSON lines that only its owner may read. They stay in the queue."""
    try:
        count = open_queue().export(path, wanted, unmasked=unmasked)
    except OSError as error:
        end(USAGE, f"{path}: {error.strerror}")
        return
    say_json({"exported": count}) if as_json else click.echo(f"Wrote {count:,} dead letters to {path}.")
    end(0 if count else NOTHING)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@yes_option
@json_option
def import_(path: Path, *, yes: bool, as_json: bool) -> None:
    """Bring dead letters back from a spill file or an unmasked export. Keys that are known stay as they are."""
    from worker.failure_queue.transfer import BadLine  # noqa: PLC0415 - `--help` does without it

    agree(f"Import {path}?", yes=yes)
    try:
        words = sum(open_queue().import_(path), collections.Counter[str]())
    except BadLine as error:
        end(USAGE, f"{path}: {error}")
        return
    if as_json:
        say_json({"imported": words["restored"], "known": words["exists"]})
    else:
        click.echo(f"Imported {words['restored']:,}; {words['exists']:,} were known already.")
    end(NOTHING if not words.total() else FAILED if words["exists"] else 0)
