"""`voicecode cancel`."""

import time

import click

from worker.cli.common import DONE, FAILED, NOTHING, PARTIAL, end, json_option, open_queue
from worker.cli.terminal import say, say_json

_ANSWERS = {
    "waiting": (DONE, "It waited, and will not be called."),
    "none": (DONE, "No record is kept of it. If it comes within {hours:g} hours, it will not be called."),
    "calling": (PARTIAL, "It is being called: the phone may ring. If the call fails, no other one follows."),
    "accepted": (NOTHING, "Too late: the gateway took the call."),
    "dead": (NOTHING, "It is dead, and will not be called unless somebody brings it back."),
    "cancelled": (NOTHING, "It was cancelled before."),
    "newer": (FAILED, "A newer version of this program wrote its record: use that one's `voicecode`."),
}
"""What each state in which the code was means for the operator."""


@click.command()
@click.argument("key")
@json_option
def cancel(key: str, *, as_json: bool) -> None:
    """Call the code KEY no more.

    A call that goes on is not ended. `voicecode account hold` stops all sending.
    """
    from worker.failure_queue.audit import write_line  # noqa: PLC0415 - `--help` does without it
    from worker.ledger import Ledger  # noqa: PLC0415 - the same
    from worker.message import is_key  # noqa: PLC0415 - the same
    from worker.store.availability import RedisAvailability  # noqa: PLC0415 - the same

    if not is_key(key):
        message = "KEY is 1 to 128 of A-Z a-z 0-9 _ . : - and holds no mobile number"
        raise click.UsageError(message)
    queue = open_queue()
    ledger = Ledger(queue.client, queue.settings, RedisAvailability(0, time.monotonic))
    was = ledger.cancel(key).value
    write_line(
        queue.client,
        action="cancel",
        operator=queue.operator,
        run=queue.new_run(),
        detail=f"it was {was}",
        cap=queue.settings.audit_entries,
        key=key,
    )
    code, told = _ANSWERS[was]
    if as_json:
        say_json({"key": key, "was": was})
    else:
        say(told.format(hours=queue.settings.accepted_ttl_seconds / 3600))
    end(code)
