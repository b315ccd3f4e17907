"""Explains exceptions of requests, urllib3 and below by their cause and by the stage reached."""

import http.client
import ssl
from collections.abc import Iterator
from typing import Final

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from config.replies import Symptom
from worker.gateway.exchange import Stage, Stopped

FOREIGN: Final = (
    Stopped,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)
"""What a network failure may raise. Anything else is a bug in this program."""

_BEFORE: Final[tuple[tuple[type[BaseException], Symptom], ...]] = (
    (ssl.SSLCertVerificationError, Symptom.TLS_UNTRUSTED),
    (CertificateError, Symptom.TLS_UNTRUSTED),
)
_AFTER: Final[tuple[tuple[type[BaseException], Symptom], ...]] = (
    (ConnectionError, Symptom.RESET),  # first: RemoteDisconnected is a BadStatusLine too
    (http.client.IncompleteRead, Symptom.TRUNCATED),
    (http.client.HTTPException, Symptom.UNREADABLE),
    (requests.exceptions.InvalidHeader, Symptom.UNREADABLE),
)


def explain(error: BaseException, stage: Stage) -> tuple[Symptom, str]:
    """Return the symptom of a network failure at `stage`, and the name of its cause.

    Once the request was sent, an unknown failure is ambiguous.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, Stopped):
            return cause.symptom, cause.detail
    for kind, symptom in _AFTER if stage is Stage.SENT else _BEFORE:
        for cause in causes:
            if isinstance(cause, kind):
                return symptom, type(cause).__name__
    timed_out = any(isinstance(cause, TimeoutError) for cause in causes)
    return stage.timed_out if timed_out else stage.failed, type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that led to it; libraries also hide causes in `args` and `reason`."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and not any(found is known for known in seen):
            seen.append(found)
            yield found
            waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
