"""For Django: the setting `VOICECODE`, a system check that sends nothing, and `send_on_commit`.

    INSTALLED_APPS = [..., "voicecode_client.django"]
    VOICECODE = {"URL": "redis://127.0.0.1:6379/0"}

The other entries of `VOICECODE` are the arguments of Client in capitals: `TIMEOUT_SECONDS`,
`MAX_LIFE_SECONDS`, `SEAL` (a function, or its dotted path).
"""

import dataclasses
import functools
import logging
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import transaction
from django.utils.module_loading import import_string

from voicecode_client.answers import Answer, Refused, Unavailable
from voicecode_client.client import Client

log: Final = logging.getLogger("voicecode_client")
OPTIONS: Final = ("TIMEOUT_SECONDS", "MAX_LIFE_SECONDS", "SEAL")


@functools.cache
def client() -> Client:
    """Return the client of this process. Raises ImproperlyConfigured."""
    given = dict(getattr(settings, "VOICECODE", None) or {})
    url = given.pop("URL", None)
    if not isinstance(url, str) or given.keys() - set(OPTIONS):
        message = "VOICECODE needs URL, and takes " + ", ".join(OPTIONS)
        raise ImproperlyConfigured(message)
    if isinstance(given.get("SEAL"), str):
        given["SEAL"] = import_string(given["SEAL"])
    try:
        return Client(url, **{name.lower(): value for name, value in given.items()})
    except ValueError:
        message = "VOICECODE['URL'] must be redis://, rediss:// or unix://, with host, port and database"
        raise ImproperlyConfigured(message) from None  # redis-py's text may hold part of a password


@dataclasses.dataclass(slots=True)
class Pending:
    """What becomes of a code that waits for the commit."""

    key: str
    answer: Answer | Unavailable | None = None
    """None until the commit, and for ever after a rollback."""


def send_on_commit(  # noqa: PLR0913 - the arguments of Client.send
    mobile: str,
    code: str,
    *,
    key: str,
    expires_in: float = 300,
    purpose: str | None = None,
    using: str | None = None,
) -> Pending:
    """Send a code once the transaction is committed, and never if it is rolled back.

    Outside a transaction: at once. Nothing is raised: a response that was built before the commit
    cannot tell, but the code's status can (`unknown`, so `offer` is `sms`), and a warning is
    logged. `using`: the database's alias.
    """
    pending = Pending(key)

    def send() -> None:
        try:
            pending.answer = client().send(mobile, code, key=key, expires_in=expires_in, purpose=purpose)
        except Unavailable as error:
            pending.answer = error
            log.warning("voice code not sent: %s", error, extra={"key": key})
        else:
            if isinstance(pending.answer, Refused):
                log.warning("voice code not sent: %s", pending.answer.reason, extra={"key": key})

    transaction.on_commit(send, using=using)
    return pending


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "VOICECODE":
        client.cache_clear()


setting_changed.connect(_forget)  # override_settings in tests
