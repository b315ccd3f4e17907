"""Alerts: a page, and the end of what it was for, sent to webhooks by a thread of their own.

The worker that writes the line sends it, so each goes once. At most twenty wait; a receiver that
does not answer is tried four times within half a minute.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests
import structlog

from config.names import Event
from config.webhooks import Webhook
from worker.incidents.forms import facts_of, link, request, taken

log = structlog.get_logger("voicecode.alerts")

PAUSES_SECONDS: Final = (1.0, 5.0, 20.0)
_TIMEOUTS_SECONDS: Final = (3.0, 5.0)
_MOST_WAITING: Final = 20
_ENDS: Final = {Event.INCIDENT_ENDED, Event.SENDING_RESUMED}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one message. `cause`: why it was not taken, in a word."""

    webhook: Webhook
    cause: str = ""


class Alerts:
    """`webhooks`: may be empty; then it does nothing. `console_url`: for links to the console."""

    def __init__(
        self,
        webhooks: tuple[Webhook, ...],
        *,
        console_url: str | None = None,
        pauses: tuple[float, ...] = PAUSES_SECONDS,
    ) -> None:
        self._webhooks = webhooks
        self._console_url = console_url
        self._pauses = pauses
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="voicecode-alerts", daemon=True)

    def note(self, line: Mapping[str, Any]) -> None:
        """Take a log line that is to be sent, and leave the others. Never waits."""
        if self._webhooks and (line.get("alert") == "page" or line.get("event") in _ENDS):
            try:
                self._waiting.put_nowait(self._linked(facts_of(line)))
            except queue.Full:
                return  # the log has it

    def start(self) -> None:
        """Start the thread, if there is anybody to tell."""
        if self._webhooks:
            self._thread.start()

    def stop(self, wait_seconds: float) -> None:
        """Send what waits, for some seconds at most."""
        if self._thread.is_alive():
            self._stopped.set()
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                return
            self._thread.join(wait_seconds)

    def send(self, facts: Mapping[str, Any]) -> Iterator[Sent]:
        """Send to each receiver at once, without retries."""
        for webhook in self._webhooks:
            yield Sent(webhook=webhook, cause=post(webhook, self._linked(facts)))

    def _linked(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**facts, "console": link(self._console_url, facts)} if self._console_url else facts

    def _run(self) -> None:
        while (facts := self._waiting.get()) is not None:
            for webhook in self._webhooks:
                self._send_patiently(webhook, facts)

    def _send_patiently(self, webhook: Webhook, facts: Mapping[str, Any]) -> None:
        cause = ""
        for pause in (*self._pauses, None):
            cause = post(webhook, facts)
            if not cause:
                return
            if pause is None or self._stopped.wait(pause):
                break
        # Without the address: whoever has it can write there.
        about = {"form": webhook.form.value, "host": webhook.host, "cause": cause}
        log.warning(Event.WEBHOOK_FAILED, **about, alert="warn", runbook="webhook-failed")


def post(webhook: Webhook, facts: Mapping[str, Any]) -> str:
    """Post once. Return why it was not taken, or nothing."""
    asked = request(webhook, facts, now=time.time())
    try:
        with requests.Session() as session:
            session.trust_env = False
            reply = session.post(
                asked.url,
                data=asked.body,
                headers=dict(asked.headers),
                timeout=_TIMEOUTS_SECONDS,
                allow_redirects=False,
            )
    except requests.RequestException as error:
        return type(error).__name__
    return (
        ""
        if taken(webhook, reply.status_code, reply.text[:1000])
        else f"refused with HTTP {reply.status_code}"
    )
