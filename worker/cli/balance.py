"""`voicecode balance`."""

import click

from worker.cli.common import DONE, FAILED, NOTHING, end, json_option, settings
from worker.cli.terminal import say, say_json


@click.command()
@json_option
def balance(*, as_json: bool) -> None:
    """Ask the gateway how many calls the account has left.

    This places no call and costs nothing. Exit code 3: none is left.
    """
    from config.replies import Kind, Replies  # noqa: PLC0415 - `--help` does without it
    from worker.gateway.client import Gateway  # noqa: PLC0415 - the same

    loaded = settings()
    gateway = Gateway(loaded)
    reply = gateway.balance()
    gateway.close()
    row = reply.row(Replies(loaded.reply_overrides))
    known = row.kind is Kind.ACCEPTED and reply.balance is not None
    if as_json:
        balance_ = reply.balance if known else None
        say_json(
            {"balance": balance_, "row": row.name, "reply_message": reply.message, "meaning": row.meaning}
        )
    elif known:
        say(f"{reply.balance:,} calls left")
    if not known:
        detail = " ".join(part for part in (row.name, reply.message, reply.detail) if part)
        end(
            FAILED,
            "" if as_json else f"No balance: {row.meaning} ({detail}). See docs/operating.md#{row.runbook}",
        )
    end(DONE if reply.balance else NOTHING)
