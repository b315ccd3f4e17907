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
from worker.store import scripts
from worker.store.scripts import Script

_CHUNK: Final = 500
_SEARCHED: Final = 500
"""Lines in one script: about a millisecond of the server's time."""


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
    if key is not None or run is not None:
        field, wanted = ("key", key) if key is not None else ("run", run)
        found = _search(client, field, wanted or "")
        yield from (line for line in found if key in {None, line.key} and run in {None, line.run})
        return
    connection: Any = client
    last = "+"
    while chunk := connection.xrevrange(names.AUDIT, max=last, min="-", count=_CHUNK):
        for identity, fields in chunk:
            yield _line(identity, fields)
        last = f"({chunk[-1][0]}"


def _search(client: redis.Redis, field: str, wanted: str) -> Iterator[AuditLine]:
    """Let Redis pick the lines: a million of them on their way here took eleven seconds."""
    search = Script(client, "failure_queue/search_audit")
    last = "+"
    while last:
        answer = search(
            [names.AUDIT],
            clock_offset=0,
            version=names.RECORD_VERSION,
            last=last,
            count=_SEARCHED,
            field=field,
            wanted=wanted,
        )
        last = scripts.text(answer[0])
        for identity, values in zip(*[iter(answer[1:])] * 2, strict=True):
            texts = [scripts.text(value) for value in values]
            yield _line(scripts.text(identity), dict(zip(*[iter(texts)] * 2, strict=True)))


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
