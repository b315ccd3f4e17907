"""`voicecode status`."""

import click

from worker.cli.common import NOTHING, end, json_option, open_queue
from worker.cli.terminal import say_json


@click.command(short_help="Show what became of the code with this KEY.")
@click.argument("key")
@json_option
def status(key: str, *, as_json: bool) -> None:
    """Show what became of the code with this KEY: its state and every attempt.

    The state is waiting, calling, accepted or dead.
    """
    record = open_queue().show(key)
    if record is None:
        end(NOTHING, "" if as_json else f"{key}: no worker has seen it, or its record is no longer kept")
    elif as_json:
        say_json(record.shown())
    else:
        from worker.cli.tables import show_record  # noqa: PLC0415 - `--help` does without it

        show_record(record)
