"""Checks of the way to the gateway: TLS, its clock, credentials and balance. They place no call."""

import email.utils
import time
from collections.abc import Iterator
from typing import Final

import requests

from config.replies import Kind, Replies
from config.settings import Settings, SettingsError
from worker.diagnosis.finding import Finding, fail, ok, warn
from worker.gateway.client import Gateway

_CLOCK_SECONDS: Final = 10.0
_LOW_BALANCE: Final = 100
_NO_TLS: Final = "see docs/operating.md#a-gateway-without-tls"


def gateway_checks(settings: Settings) -> Iterator[Finding]:
    """Ask the gateway. Never raises."""
    yield _reached(settings)
    yield _account(settings)


def _reached(settings: Settings) -> Finding:
    """Look at TLS and the header `Date`, by a request that names no account."""
    tls = settings.gateway_url.startswith("https://")
    try:
        with requests.Session() as session:
            session.trust_env = settings.proxies_from_environment
            response = session.head(
                settings.gateway_url,
                timeout=(settings.connect_timeout_seconds, settings.read_timeout_seconds),
                allow_redirects=False,
                verify=str(settings.ca_bundle) if settings.ca_bundle else True,
            )
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            return fail("gateway", "it does not speak TLS on this port", _NO_TLS)
        cure = "see docs/operating.md#certificate; behind a proxy of your own, set VOICECODE_CA_BUNDLE"
        return fail("gateway", "its certificate is not trusted: nothing is sent", cure)
    except requests.RequestException as error:
        cure = "look at DNS, firewall and proxy; see docs/operating.md#gateway-unreachable"
        if tls:
            cure += f"; if http:// gets through, {_NO_TLS}"
        return fail("gateway", f"cannot be reached ({type(error).__name__})", cure)
    ahead = _ahead_seconds(response.headers.get("Date"))
    if ahead is not None and abs(ahead) > _CLOCK_SECONDS:
        side = "ahead of" if ahead > 0 else "behind"
        text = f"this machine's clock is {abs(ahead):.0f} s {side} the gateway's"
        cure = "let this machine keep time by NTP: the dynamic password contains the time"
        return (fail if settings.dynamic_password else warn)("gateway", text, cure)
    if not tls:
        return warn("gateway", "http://: numbers and codes travel in clear", _over_tls(settings))
    return ok("gateway", "reached over TLS" + ("" if ahead is None else ", clocks agree"))


def _over_tls(settings: Settings) -> str:
    """Ask for the balance over TLS on the same host; return what that means for the address."""
    secure = "https://" + settings.gateway_url.removeprefix("http://")
    try:
        gateway = Gateway(settings.model_copy(update={"gateway_url": secure}))
    except SettingsError:
        return "use https:// if the gateway offers it"
    reply = gateway.balance()
    gateway.close()
    if reply.code is not None:
        return f"https answers there as well: set VOICECODE_GATEWAY_URL={secure}"
    row = reply.row(Replies(settings.reply_overrides))
    return f"https does not answer there ({row.name}), so keep to the signature; {_NO_TLS}"


def _ahead_seconds(date: str | None) -> float | None:
    try:
        return time.time() - email.utils.parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError):
        return None


def _account(settings: Settings) -> Finding:
    """Ask for the balance: the reply shows whether address, account and key are accepted."""
    try:
        gateway = Gateway(settings)
    except SettingsError as error:
        return fail("account", "; ".join(str(error).splitlines()), "see docs/settings.md")
    reply = gateway.balance()
    gateway.close()
    row = reply.row(Replies(settings.reply_overrides))
    if row.kind is not Kind.ACCEPTED or reply.balance is None:
        told = " ".join(part for part in (row.name, reply.message, reply.detail) if part)
        return fail("account", f"{row.meaning} ({told})", f"see docs/operating.md#{row.runbook}")
    if reply.balance == 0:
        return fail("account", "no calls left", "top the account up")
    if reply.balance < _LOW_BALANCE:
        return warn("account", f"only {reply.balance:,} calls left", "top the account up")
    return ok("account", f"{reply.balance:,} calls left")
