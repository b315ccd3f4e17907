"""`voicecode settings`."""

import click

from worker.cli.common import USAGE, end, json_option
from worker.cli.terminal import say, say_json


@click.command(short_help="Print every setting, and name the wrong ones.")
@json_option
def settings(*, as_json: bool) -> None:
    """Print every setting and its source, secrets hidden, and name wrong and unknown ones."""
    from config.explain import explain  # noqa: PLC0415 - `--help` does without it

    explained = explain()
    if as_json:
        say_json(explained.as_dict())
    else:
        from worker.cli.tables import show_settings  # noqa: PLC0415 - `--help` does without it

        show_settings(explained)
    for problem in explained.problems:
        say(problem, err=True)
    end(USAGE if explained.problems else 0)
