"""`voicecode status`: one code, or the whole fleet."""

import click

from worker.cli.common import DONE, NOTHING, end, json_option, open_queue
from worker.cli.terminal import say_json


@click.command(short_help="Show what the fleet does, or what became of one code.")
@click.argument("key", required=False)
@json_option
@click.option("--watch", "live", is_flag=True, help="Show the fleet live, until Ctrl-C.")
def status(key: str | None, *, as_json: bool, live: bool) -> None:
    """Show the whole fleet on one screen; with a KEY, show what became of that code.

    The fleet: whether it sends; the queue, what workers hold, what is due and in call, and the
    oldest of each; the failure queue by reason; the workers seen; Redis' memory, policy and
    persistence.

    A code: its state (waiting, calling, accepted, dead or cancelled) and every attempt.
    """
    if live:
        if key is not None or as_json:
            message = "--watch shows the fleet, neither a KEY nor JSON"
            raise click.UsageError(message)
        _watch()
    if key is None:
        _show_fleet(as_json=as_json)
        end(DONE)
        return
    record = open_queue().show(key)
    if record is None:
        end(NOTHING, f"{key}: no worker has seen it, or its record is no longer kept")
    elif as_json:
        say_json(record.shown())
    else:
        from worker.cli.tables import show_record  # noqa: PLC0415 - `--help` does without it

        show_record(record)


def _show_fleet(*, as_json: bool) -> None:
    from worker.cli.fleet import show_overview  # noqa: PLC0415 - `--help` does without it
    from worker.diagnosis import read_overview  # noqa: PLC0415 - the same

    queue = open_queue()
    overview = read_overview(queue.client, queue.settings)
    say_json(overview.as_dict()) if as_json else show_overview(overview)


def _watch() -> None:
    from worker.cli.watch import watch  # noqa: PLC0415 - `--help` does without it
    from worker.metrics.snapshot import Source  # noqa: PLC0415 - the same

    queue = open_queue()
    try:
        watch(Source(queue.client, queue.settings))
    except KeyboardInterrupt:
        end(DONE)
