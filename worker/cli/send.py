"""`voicecode send`."""

import click

from worker.cli.common import DONE, FAILED, end, json_option, say_json, settings


@click.command()
@click.argument("mobile")
@click.argument("code")
@click.option("--key", help="Idempotency key; default: a new one.")
@click.option(
    "--expires-in", type=click.FloatRange(min=0, min_open=True), help="Life of the code in seconds."
)
@click.option("--purpose", help="What it is for, e.g. login.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for its end; exit code 0: accepted, 1: dead, or not ended within its life.",
)
@json_option
def send(  # noqa: PLR0913 - one argument per option
    mobile: str,
    code: str,
    key: str | None,
    expires_in: float | None,
    purpose: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Have CODE (4 to 6 digits) read out to MOBILE, through the queue, as a web app would."""
    from worker.message import BadInput  # noqa: PLC0415 - `--help` does without it
    from worker.producer import Producer  # noqa: PLC0415 - the same

    producer = Producer(settings())
    try:
        sent = producer.send(mobile, code, key=key, expires_in_seconds=expires_in, purpose=purpose)
    except BadInput as error:
        raise click.UsageError(str(error)) from None
    if not wait:
        if as_json:
            say_json({"key": sent.key, "task_id": sent.task_id})
        else:
            click.echo(f"Queued as {sent.key}. See what becomes of it: voicecode status {sent.key}")
        return
    record = producer.wait(sent)
    state = record.state if record else "unseen"
    if as_json:
        say_json(
            {
                "key": sent.key,
                "task_id": sent.task_id,
                "state": state,
                "record": record.shown() if record else None,
            }
        )
    elif record is None:
        click.echo(f"{sent.key}: no worker has seen it: is one running?", err=True)
    else:
        from worker.cli.tables import show_record  # noqa: PLC0415 - `--help` does without it

        show_record(record)
    end(DONE if state == "accepted" else FAILED)
