"""Audit: the trail of who did what to which dead letter, a stream in Redis.

The scripts write a line for each key in the same step that changes it. Here are the lines about
whole runs, and the reading.
"""

import dataclasses
import getpass
import itertools
import os
import socket
import time
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
    run; `stopped`, `held`, `trial` or `sending` of the fleet.
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
    id: str = ""
    """Its place in the trail."""


def default_operator() -> str:
    """Return the operator's name where the settings give none: the system's user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def read_trail(
    client: redis.Redis, *, key: str | None = None, run: str | None = None, before: str | None = None
) -> Iterator[AuditLine]:
    """Return the trail, newest first: all of it, or the lines of one key or one run.

    `before`: the id of a line; only older ones are read.
    """
    last = f"({before}" if before else "+"
    if key is not None or run is not None:
        field, wanted = ("key", key) if key is not None else ("run", run)
        for lines, _ in _search(client, field, wanted or "", last):
            yield from (line for line in lines if key in {None, line.key} and run in {None, line.run})
        return
    connection: Any = client
    while chunk := connection.xrevrange(names.AUDIT, max=last, min="-", count=_CHUNK):
        for identity, fields in chunk:
            yield _line(identity, fields)
        last = f"({chunk[-1][0]}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A part of the trail. `before`: the id from which to go on, None at the end."""

    lines: tuple[AuditLine, ...]
    before: str | None


def read_page(  # noqa: PLR0913 - whose lines, and how many
    client: redis.Redis,
    *,
    key: str | None = None,
    run: str | None = None,
    before: str | None = None,
    limit: int = 50,
    seconds: float = 0.1,
) -> AuditPage:
    """Return some lines, newest first. A search for a key or a run ends after so many `seconds`."""
    if key is None and run is None:
        found = tuple(itertools.islice(read_trail(client, before=before), limit + 1))
        return AuditPage(lines=found[:limit], before=found[limit - 1].id if len(found) > limit else None)
    field, wanted = ("key", key) if key is not None else ("run", run)
    lines: list[AuditLine] = []
    end = time.monotonic() + seconds
    for some, last in _search(client, field, wanted or "", f"({before}" if before else "+"):
        lines += some
        if len(lines) > limit:
            return AuditPage(lines=tuple(lines[:limit]), before=lines[limit - 1].id)
        if last and time.monotonic() > end:
            return AuditPage(lines=tuple(lines), before=last.removeprefix("("))
    return AuditPage(lines=tuple(lines), before=None)


def _search(client: redis.Redis, field: str, wanted: str, last: str) -> Iterator[tuple[list[AuditLine], str]]:
    """Let Redis pick the lines: a million of them on their way here took eleven seconds.

    Yields those of each step, and from where it goes on.
    """
    search = Script(client, "failure_queue/search_audit")
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
        lines = []
        for identity, values in zip(*[iter(answer[1:])] * 2, strict=True):
            texts = [scripts.text(value) for value in values]
            lines.append(_line(scripts.text(identity), dict(zip(*[iter(texts)] * 2, strict=True))))
        yield lines, last


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
        if field.name not in {"at", "id"}
    }
    return AuditLine(at=int(identity.partition("-")[0]) / 1000, id=identity, **known)
