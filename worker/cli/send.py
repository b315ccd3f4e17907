"""`voicecode send`."""

import click

from worker.cli.common import DONE, FAILED, end, json_option, settings
from worker.cli.durations import Duration
from worker.cli.terminal import say, say_json


@click.command()
@click.argument("mobile")
@click.argument("code")
@click.option("--key", metavar="KEY", help="Idempotency key. Default: a new one.")
@click.option(
    "--expires-in",
    type=Duration(),
    metavar="DURATION",
    help="Life of the code: 90s, 5m. Default: VOICECODE_CODE_TTL_SECONDS.",
)
@click.option("--purpose", metavar="PURPOSE", help="What the code is for, for example login.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the result. Exit code 0: accepted; 1: dead, or no result within the code's life.",
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
    """Have CODE (4 to 6 digits) read out to MOBILE.

    It goes through the queue, as from a web app.
    """
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
            say(f"Queued as {sent.key}. To see what becomes of it: voicecode status {sent.key}")
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
        say(f"{sent.key}: no worker has seen it. Is one running?", err=True)
    else:
        from worker.cli.tables import show_record  # noqa: PLC0415 - `--help` does without it

        show_record(record)
    end(DONE if state == "accepted" else FAILED)
