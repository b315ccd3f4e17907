"""`voicecode balance`."""

import click

from worker.cli.common import FAILED, end, json_option, say_json, settings


@click.command()
@json_option
def balance(*, as_json: bool) -> None:
    """Ask the gateway how many calls are left. Places no call and costs nothing."""
    from config.replies import Replies  # noqa: PLC0415 - `--help` does without it
    from worker.gateway import Gateway  # noqa: PLC0415 - the same

    loaded = settings()
    gateway = Gateway(loaded)
    reply = gateway.balance()
    gateway.close()
    row = reply.row(Replies(loaded.reply_overrides))
    if as_json:
        say_json({"balance": reply.balance, "row": row.name, "reply_message": reply.message, "meaning": row.meaning})
    elif reply.balance is not None:
        click.echo(f"{reply.balance:,} calls left")
    if reply.balance is None:
        detail = " ".join(part for part in (row.name, reply.message, reply.detail) if part)
        end(FAILED, "" if as_json else f"No balance: {row.meaning} ({detail}). See docs/operating.md#{row.runbook}")
