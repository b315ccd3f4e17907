"""What becomes of a code that meets a row of voicecode's table of replies at each try.

voicecode's own tests hold this file against `config/replies.py`, and play each row to a worker.
"""

import enum
from typing import Final


class End(enum.Enum):
    """State and reason, and what a refusal of all does beside."""

    ACCEPTED = "accepted"
    PERMANENT = "dead permanent"
    EXHAUSTED = "dead exhausted"
    EXPIRED = "dead expired"
    AMBIGUOUS = "dead ambiguous"
    STOPS = "dead permanent, and nobody else is called until a person acts"
    PARKED = "waiting, and nobody else is called until there are calls left"


ENDS: Final = {
    End.ACCEPTED: "2",
    End.PARKED: "4051",
    End.STOPS: "400 401 402 405 4050 4052 408 40501 40502 40505 4010 4011 4012 4013 4071 4072 4073 4074"
    " 4075 40722 tls_untrusted http_3xx http_4xx",
    End.PERMANENT: "403 4030 404 406 407 4070 408/limit 4077 4082 4085 4086 unknown",
    End.EXHAUSTED: "0 4010/limit 4080 4081 http_429 http_503 http_idle",
    End.EXPIRED: "dns_failed connect_refused connect_timeout proxy_failed tls_failed not_sent"
    " crash_before_send",
    End.AMBIGUOUS: "reset read_timeout deadline truncated unreadable too_large hostile_xml http_5xx"
    " crash_after_send lease_over",
}
ROWS: Final = {row: end for end, rows in ENDS.items() for row in rows.split()}


def row_of(said: str | int) -> tuple[str, int | None]:
    """Return a row's name and its reply code. A code without a row is `unknown`."""
    name = str(said)
    if name not in ROWS and not name.isdecimal():
        message = f"no row is called {name!r}; there are: {', '.join(ROWS)}"
        raise ValueError(message)
    code = name.partition("/")[0]
    return name if name in ROWS else "unknown", int(code) if code.isdecimal() else None
