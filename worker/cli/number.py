"""`voicecode number ...`: why one number is not called."""

import dataclasses
from typing import TYPE_CHECKING

import click

from worker.cli.common import NOTHING, USAGE, end, json_option, settings
from worker.cli.terminal import say, say_json

if TYPE_CHECKING:
    from worker.sending.numbers import Numbers


@click.group()
def number() -> None:
    """See why one number is not called, and let it be called again."""


def open_numbers() -> "Numbers":
    """Return what is known of numbers."""
    from worker.sending.numbers import Numbers  # noqa: PLC0415 - `--help` does without it
    from worker.store.client import connect  # noqa: PLC0415 - the same

    loaded = settings()
    return Numbers(connect(loaded), loaded)


def _normalised(mobile: str) -> str:
    from worker.message import BadInput, normalise_mobile  # noqa: PLC0415 - `--help` does without it

    try:
        return normalise_mobile(mobile)
    except BadInput as error:
        end(USAGE, str(error))
        raise


@number.command()
@click.argument("mobile")
@json_option
def show(mobile: str, *, as_json: bool) -> None:
    """Show how often MOBILE was submitted lately, and what blocks it."""
    seen = open_numbers().show(_normalised(mobile))
    if as_json:
        say_json(dataclasses.asdict(seen))
        return
    say(f"{seen.submissions} submissions in the last minute   {seen.calls_today} calls today")
    if seen.blocked_by:
        say(f"blocked by {seen.blocked_by} for another {seen.blocked_seconds:.0f} s")


@number.command()
@click.argument("mobile")
def unblock(mobile: str) -> None:
    """Forget what keeps MOBILE from being called, but for what was submitted in the last minute."""
    if not open_numbers().unblock(_normalised(mobile)):
        end(NOTHING, "Nothing kept it from being called.")
    say("It may be called again.")
