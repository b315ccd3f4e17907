"""`voicecode dead export` and `import`."""

from pathlib import Path
from typing import Any

import click

from worker.cli.carry_out import add_up
from worker.cli.common import (
    DONE,
    INTERRUPTED,
    NOTHING,
    PARTIAL,
    USAGE,
    agree,
    end,
    json_option,
    of_disk,
    open_queue,
    yes_option,
)
from worker.cli.filters import filter_options
from worker.cli.terminal import say, say_json


@click.command(short_help="Copy dead letters to a file.")
@click.option(
    "--to",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to create. It must not exist.",
)
@filter_options
@click.option(
    "--unmasked",
    is_flag=True,
    help="Write numbers and codes in full. Only such a file can be imported. The audit trail records it.",
)
@json_option
def export(path: Path, wanted: Any, *, unmasked: bool, as_json: bool) -> None:
    """Copy dead letters to a file of JSON lines that only its owner may read.

    They stay in the queue.
    """
    from worker.failure_queue import RunCancelled  # noqa: PLC0415 - `--help` does without it

    queue = open_queue(wanted)
    own = queue.new_run()
    try:
        count = queue.export(path, wanted, unmasked=unmasked, name=own)
    except OSError as error:
        end(of_disk(error), f"{path}: {error.strerror}")
        return
    except KeyboardInterrupt:
        left = f"{path} is complete" if path.exists() else "no file is left"
        end(INTERRUPTED, f"Interrupted: {left}. Run {own}.")
        return
    except RunCancelled as cancelled:
        end(NOTHING, f"Run {own} was {cancelled}: no file is left.")
        return
    if as_json:
        say_json({"run": own, "exported": count})
    else:
        say(f"Wrote {count:,} dead letters to {path}. Run {own}.")
    end(DONE if count else NOTHING)


@click.command("import", short_help="Bring dead letters back from a file.")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@yes_option
@json_option
def import_(path: Path, *, yes: bool, as_json: bool) -> None:
    """Bring dead letters back from a spill file or an unmasked export.

    Keys that Redis knows stay as they are there. A file with a wrong line is refused whole.
    """
    from worker.failure_queue import RestoreStatus  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue.transfer import BadFile  # noqa: PLC0415 - the same

    agree(f"Import {path}?", yes=yes)
    try:
        queue = open_queue()
        own = queue.new_run()
        statuses, stopped, code = add_up(queue.import_(path, name=own))
    except BadFile as error:
        end(USAGE, f"{path} cannot be imported, and nothing of it was:\n{error}")
        return
    imported, known = statuses[RestoreStatus.RESTORED], statuses[RestoreStatus.EXISTS]
    left_out = statuses[RestoreStatus.LEFT_OUT]
    if as_json:
        say_json({"run": own, "imported": imported, "known": known, "left_out": left_out, "stopped": stopped})
    else:
        say(f"Imported {imported:,}. {known:,} were known already and stay as they are. Run {own}.")
        if left_out:
            say(f"Left out {left_out:,}: they had been replayed when the file was written.")
    end(code if stopped else NOTHING if not imported else PARTIAL if known else DONE, stopped)
