"""`voicecode alert`."""

import click

from config import webhooks
from worker.cli.common import DONE, FAILED, NOTHING, end, json_option
from worker.cli.common import settings as read_settings
from worker.cli.terminal import say, say_json


@click.group()
def alert() -> None:
    """See whether pages reach the webhooks of VOICECODE_ALERT_WEBHOOK."""


@alert.command(name="test")
@json_option
def test(*, as_json: bool) -> None:
    """Send a test message to each webhook. Exit code 1: one did not take it."""
    from worker.incidents.alerts import Alerts  # noqa: PLC0415 - `--help` does without it

    loaded = read_settings()
    configured = loaded.alert_webhook
    receivers = webhooks.read(configured.get_secret_value()) if configured else ()
    if not receivers:
        end(NOTHING, "No webhook is configured: VOICECODE_ALERT_WEBHOOK")
    failed = False
    alerts = Alerts(receivers, console_url=loaded.console_url)
    for sent in alerts.send({"event": "alert.test", "alert": "test", "incident": "none"}):
        failed |= bool(sent.cause)
        shown = {"form": sent.webhook.form.value, "host": sent.webhook.host, "taken": not sent.cause}
        if as_json:
            say_json({**shown, "cause": sent.cause})
        else:
            say(f"{sent.webhook.form.value:<9} {sent.webhook.host}  {sent.cause or 'taken'}")
    end(FAILED if failed else DONE)
