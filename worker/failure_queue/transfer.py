"""Transfer: dead letters to files of JSON lines, and back.

A line of a full export or a spill file is `{"key": ..., "record": {...}}`: the record as it stands
in Redis, number and code included. A line of a masked export is for people and cannot be imported.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from config import names
from config.masking import MOBILE_PATTERN
from worker.ledger.record import Record
from worker.message import is_key

_PRIVATE: Final = 0o600


class BadLine(Exception):  # noqa: N818 - a fact about a file
    """A line of a file cannot be imported. The text says which and why, without its values."""


def create(path: Path) -> IO[str]:
    """Create a file that nobody else may read. Raises OSError, also where it exists."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8")


def settle(file: IO[str], path: Path) -> None:
    """Return when the file, and its name in its directory, are on the disk."""
    file.flush()
    os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def full_line(key: str, values: Mapping[str, str]) -> str:
    """Return a line from which the dead letter can be made again."""
    return json.dumps({"key": key, "record": dict(values)}, ensure_ascii=False) + "\n"


def masked_line(record: Record) -> str:
    """Return a line that may be shown."""
    return json.dumps(record.shown(), ensure_ascii=False) + "\n"


def retraction(keys: Iterable[str]) -> str:
    """Return the line by which a spill file takes back keys that did not leave Redis after all."""
    return json.dumps({"not_spilled": sorted(keys)}) + "\n"


def read_dead_letters(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Return keys and records of a file. Raises BadLine, before anything is returned, and OSError.

    The file is read twice: a wrong line at its end must not leave half an import behind.
    """
    retracted: set[str] = set()
    for number, line in _lines(path):
        values = _parse(line, number)
        if isinstance(values.get("not_spilled"), list):
            retracted.update(map(str, values["not_spilled"]))
        else:
            _check(values, number)
    for number, line in _lines(path):
        values = _parse(line, number)
        if "record" in values and values["key"] not in retracted:
            yield values["key"], values["record"]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        message = f"line {number} is no JSON object; nothing was imported"
        raise BadLine(message)
    return values


def _check(values: dict[str, Any], number: int) -> None:
    record = values.get("record")
    if not isinstance(record, dict) and "mobile" in values:
        message = (
            f"line {number} comes from a masked export, which cannot be imported: export with --unmasked"
        )
        raise BadLine(message)
    key = values.get("key")
    record = record if isinstance(record, dict) else {}
    good = (
        isinstance(key, str)
        and is_key(key)
        and all(isinstance(value, str) for value in record.values())
        and record.get("state") == "dead"
        and re.fullmatch(MOBILE_PATTERN, record.get("mobile") or "13000000000")
        and _is_number(record.get("died_at"))
        and _is_number(record.get("expires_at"))
        and _is_number(record.get("v"))
    )
    if not good:
        message = f"line {number} is no dead letter; nothing was imported"
        raise BadLine(message)
    if float(record["v"]) > names.RECORD_VERSION:
        message = f"line {number} was written by a later version of this program; nothing was imported"
        raise BadLine(message)


def _is_number(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"\d+(\.\d+)?", text) is not None
