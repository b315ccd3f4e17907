"""Samples: the messages that the demo sends, and how each should end."""

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final

from worker.simulator.scenarios import magic_number

ACCEPTED: Final = "accepted"
DEAD: Final = "dead"


class Phase(enum.Enum):
    """When a message is sent."""

    DAY = "an ordinary day"
    DOUBLED = "sent again"
    FROZEN = "the account is frozen"
    EMPTY = "the account runs empty"
    OUTAGE = "the gateway is away"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One message. `name`: its key without the run's prefix."""

    name: str
    description: str
    phase: Phase = Phase.DAY
    mobile: Any = dataclasses.field(repr=False)
    code: Any = dataclasses.field(default="0042", repr=False)
    key_of: str = ""
    """Name of another sample, under whose key it is sent."""
    expires_in_seconds: float | None = 300
    milliseconds: bool = False
    """`expires_at` is written in milliseconds, a common mistake."""
    ends: str = ACCEPTED
    duplicate: bool = False
    """It gets no record of its own, and must be suppressed."""

    def kwargs(self, run: str, now: float) -> Mapping[str, Any]:
        """Return its keyword arguments. `run`: prefix of every key; `now`: epoch seconds."""
        values: dict[str, Any] = {"key": f"{run}:{self.key_of or self.name}", "purpose": "demo"}
        if self.expires_in_seconds is not None:
            moment = now + self.expires_in_seconds
            values["expires_at"] = moment * 1000 if self.milliseconds else moment
        return values


def _asks(name: str, description: str, scenario: str, times: int = 0, ends: str = ACCEPTED) -> Sample:
    """Return a sample whose number asks the simulator for a scenario."""
    return Sample(name=name, description=description, mobile=magic_number(scenario, times), ends=ends)


def _traffic(phase: Phase, name: str, description: str, count: int) -> Iterator[Sample]:
    """Return samples that are sent one after the other, each to a number of its own."""
    prefix = f"1380013{len(name)}"
    for n in range(1, count + 1):
        yield Sample(name=f"{name}-{n}", description=description, phase=phase, mobile=f"{prefix}{n:03}")


SAMPLES: Final = (
    Sample(name="login", description="a login", mobile="13800138000"),
    Sample(name="spaced", description="written with +86 and dashes", mobile="+86 139-1234-5678", code="918273"),
    Sample(name="new-prefix", description="a 149 number", mobile="14912345678"),
    _asks("xml", "the reply is XML in GBK", "xml_gbk"),
    _asks("long-id", "the reply's id has 20 digits", "json_id_as_number"),
    _asks("zero-once", "reply 0, once", "0", 1),
    _asks("zero-thrice", "reply 0, three times", "0", 3),
    _asks("zero-always", "reply 0, each time", "0", ends=DEAD),
    _asks("busy", "HTTP 503 once: come back in 2 s", "http_503", 1),
    _asks("reset", "reset after reading, once", "reset_after_reading", 1),
    _asks("hung-up", "closed without a reply, once", "closed_without_reply", 1),
    _asks("web-page", "a web page for a reply, once", "html", 1),
    _asks("silent", "no reply, each time", "silent", ends=DEAD),
    _asks("moved", "a redirect", "redirect_302", ends=DEAD),
    _asks("blacklisted", "reply 4030", "4030", ends=DEAD),
    _asks("daily-limit", "reply 4085", "4085", ends=DEAD),
    _asks("refused", "reply 4070", "4070", ends=DEAD),
    _asks("unheard-of", "an unknown reply code", "unknown", ends=DEAD),
    Sample(name="int-code", description="the code sent as an int", mobile="13800138001", code=1234, ends=DEAD),
    Sample(name="landline", description="a landline", mobile="010-12345678", ends=DEAD),
    Sample(name="millis", description="expires_at in milliseconds", mobile="13800138002", milliseconds=True, ends=DEAD),
    Sample(name="too-late", description="expired before it was sent", mobile="13800138003", expires_in_seconds=-5, ends=DEAD),
    Sample(name="login-again", description="a double click", phase=Phase.DOUBLED, mobile="13800138000", key_of="login", duplicate=True),
    Sample(name="zero-again", description="published twice", phase=Phase.DOUBLED, mobile=magic_number("0", 1), key_of="zero-once", duplicate=True),
    Sample(name="key-reused", description="login's key, another code", phase=Phase.DOUBLED, mobile="13800138000", code="7777", key_of="login", ends=DEAD),
    Sample(name="frozen-1", description="account frozen", phase=Phase.FROZEN, mobile="13800138011"),
    Sample(name="frozen-2", description="account frozen", phase=Phase.FROZEN, mobile="13800138012"),
    Sample(name="frozen-3", description="account frozen", phase=Phase.FROZEN, mobile="13800138013"),
    Sample(name="short-lived", description="account frozen, lives 2 s", phase=Phase.FROZEN, mobile="13800138014", expires_in_seconds=2, ends=DEAD),
    *_traffic(Phase.EMPTY, "empty", "sent while the account runs empty", 24),
    *_traffic(Phase.OUTAGE, "outage", "sent around an outage", 14),
)  # fmt: skip
"""In the order in which they are sent."""
