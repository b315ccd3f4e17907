"""Transfer: dead letters to files of JSON lines, and back.

A line of a full export or a spill file is `{"key": ..., "record": {...}}`: the record as it stands
in Redis, number and code included. A line of a masked export is for people and cannot be imported.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from worker.failure_queue.imported import BadRecord
from worker.ledger.record import Record

_PRIVATE: Final = 0o600


_LONGEST_LINE: Final = 8_000_000
_TOLD: Final = 5
"""This many wrong lines are named; of the others only the number."""
_COMPRESSED: Final = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
}


class BadFile(Exception):  # noqa: N818 - a fact about a file
    """A file cannot be imported, and nothing of it was.

    The text says which lines are wrong and why, one a line, without their values.
    """


def create(path: Path) -> IO[str]:
    """Create a file that nobody else may read. Raises OSError, also if it exists."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8")


@contextlib.contextmanager
def created(path: Path) -> Iterator[IO[str]]:
    """Create a file like `create`. If the block fails, as on a full disk, no file is left."""
    file = create(path)
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


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
    """Return the line by which a spill file takes back keys that stayed in Redis after all."""
    return json.dumps({"not_spilled": sorted(keys)}) + "\n"


Check = Callable[[Any, Mapping[str, Any]], None]
"""Raises BadRecord for a key and a record that cannot be imported."""


def read_dead_letters(path: Path, check: Check) -> Iterator[tuple[str, dict[str, str] | None]]:
    """Return keys and records of a file. Raises BadFile, before anything is returned, and OSError.

    None in place of a record: the file itself says to leave it out. It was taken back, or it had
    left the failure queue, by a replay for instance, when the line was written.
    The file is read twice: a wrong line at its end must not leave half an import behind.
    """
    retracted: set[str] = set()
    wrong: list[tuple[Any, str]] = []
    for number, values in _objects(path):
        if isinstance(values.get("not_spilled"), list):
            retracted.update(map(str, values["not_spilled"]))
        elif problem := _problem(values, check):
            wrong.append((values.get("key"), f"line {number}: {problem}"))
    problems = [problem for key, problem in wrong if not isinstance(key, str) or key not in retracted]
    if problems:
        more = len(problems) - _TOLD
        told = problems[:_TOLD] + ([f"and {more:,} more lines"] if more > 0 else [])
        raise BadFile("\n".join(told))
    for _, values in _objects(path):
        if "record" in values:
            key = values["key"]
            yield key, None if key in retracted or not _is_dead(values["record"]) else values["record"]


def _problem(values: dict[str, Any], check: Check) -> str:
    """Return why a line cannot be imported, or an empty text."""
    record = values.get("record")
    if not isinstance(record, dict):
        if "mobile" in values:
            return "it comes from a masked export, which cannot be imported: export with --unmasked"
        return "it is no dead letter"
    if not _is_dead(record):
        return "" if isinstance(values.get("key"), str) else "key is missing"
    try:
        check(values.get("key"), record)
    except BadRecord as error:
        return str(error)
    return ""


def _is_dead(record: Mapping[str, Any]) -> bool:
    return bool(record) and record.get("state") not in {"waiting", "calling", "accepted"}


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the lines of a file with their numbers. Raises BadFile if one is not a JSON object."""
    with path.open("rb") as file:
        for magic, (kind, command) in _COMPRESSED.items():
            if file.read(len(magic)) == magic:
                message = f"it is compressed by {kind}: unpack it first ({command})"
                raise BadFile(message)
            file.seek(0)
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
            if line.strip():
                yield number, _parse(line, number)


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError) or b"\x00" in line:
            message = f"line {number} is not text: is this a file of dead letters?"
        elif len(line) == _LONGEST_LINE:
            message = f"line {number} is too long: is this a file of dead letters?"
        elif not line.endswith(b"\n"):
            message = f"line {number}, the last one, is cut off: without it the rest can be imported"
        else:
            message = f"line {number} is no JSON object"
        raise BadFile(message) from None
    if not isinstance(values, dict):
        message = f"line {number} is no JSON object"
        raise BadFile(message)
    return values
