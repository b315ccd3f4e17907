"""Webhooks: where a page goes beside the log, as `VOICECODE_ALERT_WEBHOOK` names it."""

import dataclasses
import enum
from typing import Final
from urllib.parse import urlsplit


class Form(enum.Enum):
    """What the receiver reads."""

    DINGTALK = "dingtalk"
    WECOM = "wecom"
    FEISHU = "feishu"
    SLACK = "slack"
    JSON = "json"


_SIGNED: Final = {Form.DINGTALK, Form.FEISHU, Form.JSON}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One receiver. Its address is a secret: whoever has it can write there."""

    form: Form
    url: str = dataclasses.field(repr=False)
    secret: str = dataclasses.field(default="", repr=False)
    """Signs each message; empty: none is signed."""

    @property
    def host(self) -> str:
        """The part of the address that may be shown."""
        return urlsplit(self.url).hostname or ""


def read(text: str) -> tuple[Webhook, ...]:
    """Read `form+https://host/path#secret`, several with spaces between. Raises ValueError."""
    return tuple(_webhook(part) for part in text.split())


def _webhook(text: str) -> Webhook:
    form, plus, address = text.partition("+")
    known = {member.value: member for member in Form}
    if not plus or form not in known:
        message = f"each must begin with one of {', '.join(name + '+' for name in known)}"
        raise ValueError(message)
    url, _, secret = address.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{form}+ must be followed by an http:// or https:// address"
        raise ValueError(message)
    if secret and known[form] not in _SIGNED:
        message = f"{form} takes no signature: leave out what follows the #"
        raise ValueError(message)
    return Webhook(form=known[form], url=url, secret=secret)
