"""`voicecode erase`: take a person out of everything."""

import dataclasses

import click

from worker.cli.common import FAILED, NOTHING, USAGE, agree, end, json_option, open_queue, yes_option
from worker.cli.terminal import say, say_json


@click.command(short_help="Take a person out of everything.")
@click.argument("mobile", required=False, metavar="[NUMBER]")
@click.option("--key", help="Erase one code by its key, in place of a number.")
@yes_option
@json_option
def erase(mobile: str | None, key: str | None, *, yes: bool, as_json: bool) -> None:
    """Take a person out of everything that Redis and the spill directory hold.

    NUMBER: all codes of a number, in any state, with their messages, files and counters.
    A code that waits is not called any more; one that is being called is erased at its end.
    The audit trail gets one line, without the number. It cannot be undone.
    Redis' own files lose it when they are written anew: redis-cli BGREWRITEAOF.
    """
    from worker.erasure import Erasure  # noqa: PLC0415 - `--help` does without it
    from worker.message import BadInput, normalise_mobile  # noqa: PLC0415 - the same

    if (mobile is None) == (key is None):
        message = "give a number or --key"
        raise click.UsageError(message)
    try:
        number = None if mobile is None else normalise_mobile(mobile)
    except BadInput as error:
        end(USAGE, str(error))
        return
    agree(f"Erase {'all codes of this number' if number else key} for good?", yes=yes)
    queue = open_queue()
    erasure = Erasure(queue.client, queue.settings, operator=queue.operator, run=queue.new_run())
    done = erasure.number(number) if number else erasure.key(key or "")
    if as_json:
        say_json(dataclasses.asdict(done))
    else:
        say(f"Erased {done.records:,} records, {done.messages:,} messages and {done.lines:,} lines of files.")
        if done.in_call:
            say(f"{done.in_call:,} are being called: the end of the call erases them.")
        if done.newer:
            say(f"{done.newer:,} were written by a later version: run that version's command, too.")
        if done.unsure:
            say(
                f"{done.unsure:,} more have the same masked number, under keys that are not here:"
                " run it with these, too."
            )
    if done.newer or done.unsure:
        end(FAILED)
    if not done.total:
        end(NOTHING, "" if as_json else "Nothing was found.")
