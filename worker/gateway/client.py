"""Gateway: sends one request to ihuyi's HTTP interface, once. Every outcome is a value.

1. A fresh form goes into a copy of a request that was prepared once.
2. requests' adapter sends it. The connection keeps to the deadline, and checks it once more before
   the first byte leaves (`connection`).
3. The reply's body is read up to a cap (`body`) and parsed (`parser`). An exception is explained by
   the stage that the request had reached (`errors`): "never sent" differs from "may have rung".
"""

import dataclasses
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import requests
import structlog
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from config.names import Event
from config.replies import ACCEPTED, Symptom, symptom_of_http
from config.settings import Settings, SettingsError
from worker.gateway.adapter import Adapter, tls_context
from worker.gateway.body import read_body
from worker.gateway.errors import FOREIGN, explain
from worker.gateway.exchange import Exchange, Stage, running
from worker.gateway.form import Forms
from worker.gateway.parser import BALANCE_RESULT, SUBMIT_RESULT, parse, retry_after
from worker.gateway.resolver import Resolver
from worker.message import VoiceCode
from worker.reply import Reply

_TELLS_WHEN: Final = (Symptom.HTTP_429, Symptom.HTTP_503)
_HEADERS: Final = {
    "User-Agent": f"voicecode (requests/{requests.__version__})",
    "Accept": "application/json, text/xml",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}

_log = structlog.stdlib.get_logger(__name__)


class Gateway:
    """The gateway, used with one account. Any number of threads may share it.

    Raises SettingsError if the account or the APIKEY is missing, or if the address, the
    certificates or the environment's proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        account, apikey = settings.require_gateway()
        self._settings: Final = settings
        self._forms: Final = Forms(account, apikey, dynamic=settings.dynamic_password)
        self._submit: Final = _template(settings.gateway_url, "Submit")
        self._balance: Final = _template(settings.gateway_url, "GetNum")
        self._proxies: Final = _proxies(settings)
        # Each socket asks the exchange for its time-out; these two are urllib3's fallback.
        self._timeout: Final = (settings.connect_timeout_seconds, settings.read_timeout_seconds)
        self._tls: Final = _tls(settings.ca_bundle)
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._resolver = Resolver()
        self._adapter = Adapter(size=self._settings.concurrency, context=self._tls)

    def submit(self, code: VoiceCode, *, deadline: float) -> Reply:
        """Ask for one call. Never raises.

        `deadline`: on the monotonic clock, for everything from the name lookup to the whole reply.
        """
        reply = self._exchange(
            self._submit, lambda: self._forms.submit(code, now=time.time()), SUBMIT_RESULT, deadline
        )
        return self._hidden(reply, code.code)

    def balance(self, *, deadline: float | None = None) -> Reply:
        """Ask for the number of calls left. Places no call, costs nothing, never raises."""
        if deadline is None:
            deadline = time.monotonic() + self._settings.attempt_deadline_seconds
        reply = self._exchange(
            self._balance, lambda: self._forms.balance(now=time.time()), BALANCE_RESULT, deadline
        )
        return self._hidden(reply)

    def close(self) -> None:
        """Close the idle connections. Requests in flight are left to end."""
        self._adapter.close()

    def _hidden(self, reply: Reply, *sent: str) -> Reply:
        """Return the reply without anything that was sent: the gateway may echo it."""
        message = self._forms.hide(reply.message, *sent)
        return reply if message == reply.message else dataclasses.replace(reply, message=message)

    def _exchange(
        self, template: requests.PreparedRequest, form: Callable[[], bytes], result: str, deadline: float
    ) -> Reply:
        started = time.monotonic()
        if self._process != os.getpid():
            self._open()  # after a fork the open connections belong to the parent
        settings = self._settings
        exchange = Exchange(
            deadline=deadline,
            connect_seconds=settings.connect_timeout_seconds,
            read_seconds=settings.read_timeout_seconds,
            idle_seconds=settings.connection_idle_seconds,
            resolver=self._resolver,
        )
        try:
            with running(exchange):
                exchange.time_left()
                reply = self._post(template, form(), result)
        except FOREIGN as error:
            symptom, detail = explain(error, exchange.stage)
            reply = Reply(symptom=symptom, detail=detail)
        except Exception as error:  # noqa: BLE001 - a bug must not look like a call never placed
            sent = exchange.stage is Stage.SENT
            _log.exception(Event.ATTEMPT_CRASHED, sent=sent, alert="page", runbook="worker-bug")
            symptom = Symptom.CRASH_AFTER_SEND if sent else Symptom.CRASH_BEFORE_SEND
            reply = Reply(symptom=symptom, detail=type(error).__name__)
        return dataclasses.replace(reply, elapsed_seconds=time.monotonic() - started)

    def _post(self, template: requests.PreparedRequest, form: bytes, result: str) -> Reply:
        request = template.copy()
        request.body = form
        request.headers["Content-Length"] = str(len(form))
        response = self._adapter.send(request, stream=True, timeout=self._timeout, proxies=self._proxies)
        try:
            return _read(response, result)
        finally:
            response.close()


def _read(response: requests.Response, result: str) -> Reply:
    symptom = symptom_of_http(response.status_code)
    try:
        reply = parse(read_body(response), response.headers.get("Content-Type", ""), result=result)
    except FOREIGN as error:
        cause, detail = explain(error, Stage.SENT)
        reply = Reply(symptom=cause, detail=detail)
    # An acceptance is true whatever the status. Otherwise a status other than 2xx decides.
    if symptom is not None and reply.code != ACCEPTED:
        detail = reply.detail if reply.code is None else f"reply code {reply.code}"
        reply = Reply(symptom=symptom, detail=detail, message=reply.message)
    header = response.headers.get("Retry-After") if symptom in _TELLS_WHEN else None
    return dataclasses.replace(
        reply, http_status=response.status_code, retry_after_seconds=retry_after(header, now=time.time())
    )


def _template(url: str, method: str) -> requests.PreparedRequest:
    """Prepare a request without a body or a cookie jar: the jar would be copied each time."""
    request = requests.PreparedRequest()
    request.prepare_method("POST")
    try:
        request.prepare_url(url, {"method": method})
    except requests.RequestException as error:
        message = f"VOICECODE_GATEWAY_URL cannot be used: {error}"
        raise SettingsError(message) from None
    request.prepare_headers(_HEADERS)
    return request


def _tls(ca_bundle: Path | None) -> ssl.SSLContext:
    try:
        return tls_context(ca_bundle or Path(DEFAULT_CA_BUNDLE_PATH))
    except OSError as error:
        message = f"VOICECODE_CA_BUNDLE: no certificates could be read from the file ({error})"
        raise SettingsError(message) from None


def _proxies(settings: Settings) -> dict[str, str]:
    if not settings.proxies_from_environment:
        return {}
    url = settings.gateway_url
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if proxy is None:
        return {}
    if proxy.lower().startswith("socks"):
        message = (
            "VOICECODE_PROXIES_FROM_ENVIRONMENT: the environment names a SOCKS proxy for the gateway; "
            "only HTTP proxies can be used"
        )
        raise SettingsError(message)
    return {url.partition("://")[0]: proxy}
