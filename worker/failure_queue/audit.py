"""Audit: the trail of who did what to which dead letter, a stream in Redis.

The scripts write a line for each key in the same step that changes it. Here are the lines about
whole runs, and the reading.
"""

import dataclasses
import getpass
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

import redis

from config import names

_CHUNK: Final = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line.

    `action`: replay, discard, undo, purge, spill, import or unmask of a key; `begin` or `end` of a
    run.
    """

    at: float
    """Epoch seconds, by the server's clock."""
    action: str
    key: str
    operator: str
    run: str
    """The same in all lines of one command."""
    reason: str
    row: str
    detail: str


def default_operator() -> str:
    """Return the operator's name where the settings give none: the system's user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def read_trail(client: redis.Redis, *, key: str | None = None, run: str | None = None) -> Iterator[AuditLine]:
    """Return the trail, newest first: all of it, or the lines of one key or one run."""
    connection: Any = client
    last = "+"
    while chunk := connection.xrevrange(names.AUDIT, max=last, min="-", count=_CHUNK):
        for identity, fields in chunk:
            line = _line(identity, fields)
            if key in {None, line.key} and run in {None, line.run}:
                yield line
        last = f"({chunk[-1][0]}"


def write_line(  # noqa: PLR0913 - one argument per field
    client: redis.Redis, *, action: str, operator: str, run: str, detail: str, cap: int, key: str = ""
) -> None:
    """Add a line about a run, or about a key that was shown unmasked."""
    fields: Any = {
        "action": action,
        "key": key,
        "operator": operator,
        "run": run,
        "reason": "",
        "row": "",
        "detail": detail,
    }
    client.xadd(names.AUDIT, fields, maxlen=cap, approximate=True)


def _line(identity: str, fields: dict[str, str]) -> AuditLine:
    known = {
        field.name: fields.get(field.name, "")
        for field in dataclasses.fields(AuditLine)
        if field.name != "at"
    }
    return AuditLine(at=int(identity.partition("-")[0]) / 1000, **known)
