"""Files: spill files and exports in the spill directory, rewritten without a person's lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.failure_queue import transfer

Concerns = Callable[[str, dict[str, Any]], bool]
"""Takes a key and the fields of its record."""


def remove_lines(directory: Path, concerns: Concerns) -> int:
    """Rewrite each file that has such lines; return how many lines went. Raises OSError.

    A file that is being written at this moment is left to the next run: its name changes last.
    """
    return sum(_remove(path, concerns) for path in sorted(directory.glob("*.jsonl")))


def _remove(path: Path, concerns: Concerns) -> int:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        lines = file.readlines()
    kept = [line for line in lines if not _is_concerned(line, concerns)]
    if len(kept) == len(lines):
        return 0
    beside = path.with_name(f".{path.name}.erasing")
    beside.unlink(missing_ok=True)
    with transfer.create(beside) as file:
        file.reconfigure(errors="surrogateescape")  # type: ignore[attr-defined]
        file.writelines(kept)
        transfer.settle(file, beside)
    beside.replace(path)
    return len(lines) - len(kept)


def _is_concerned(line: str, concerns: Concerns) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or "key" not in value:
        return False
    record = value.get("record")
    return concerns(str(value["key"]), record if isinstance(record, dict) else value)
