"""Forms: what is written to the gateway, with the key or a signature made afresh."""

import hashlib
from typing import Final
from urllib.parse import urlencode

from pydantic import SecretStr

from worker.message import VoiceCode


class Forms:
    """Writes the forms of one account. `now`: epoch seconds.

    The signature's recipe is not promised by the provider: it is what public client code agrees on.
    """

    def __init__(self, account: str, apikey: SecretStr, *, dynamic: bool) -> None:
        self._account: Final = account
        self._apikey: Final = apikey
        self._dynamic: Final = dynamic

    def submit(self, code: VoiceCode, *, now: float) -> bytes:
        """Return the form that asks for a call."""
        time = _ten_digits(now)
        fields = {
            "account": self._account,
            "password": self._password(code.mobile, code.code, time),
            "mobile": code.mobile,
            "content": code.code,
            "format": "json",
        }
        if self._dynamic:
            fields["time"] = time
        return urlencode(fields).encode()

    def balance(self, *, now: float) -> bytes:
        """Return the form that asks for the number of calls left."""
        time = _ten_digits(now)
        return urlencode({"account": self._account, "password": self._password(time), "time": time, "format": "json"}).encode()

    def _password(self, *signed: str) -> str:
        apikey = self._apikey.get_secret_value()
        if not self._dynamic:
            return apikey
        text = "".join((self._account, apikey, *signed))
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def hide(self, text: str, *sent: str) -> str:
        """Return `text` without the key and without what else was `sent`: the gateway may repeat it."""
        for secret in (self._apikey.get_secret_value(), *sent):
            text = text.replace(secret, "****")
        return text


def _ten_digits(now: float) -> str:
    return f"{int(now):010d}"
