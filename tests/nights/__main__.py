"""`./run nights`: bad nights of the fleet on real workers, each a row of a table."""

import argparse
import sys
from pathlib import Path

from tests.nights.night import FULL, SHORT
from tests.nights.table import HEAD, NIGHTS, run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run nights", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=NIGHTS, help="run this night only; may be repeated"
    )
    parser.add_argument("--short", action="store_true", help="a tenth of every duration, as in the tests")
    parser.add_argument("--keep", type=Path, help="folder for logs and journals, one folder a night")
    parser.add_argument("--list", action="store_true", help="only name the nights")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the nights one after the other; return 1 if a goal was missed."""
    given = _arguments()
    chosen = [NIGHTS[name] for name in given.only or NIGHTS]
    if given.list:
        for night in chosen:
            _say(f"{night.name:12} {night.incident}")
        return 0
    _say(HEAD)
    missed = 0
    for night in chosen:
        folder = given.keep / night.name if given.keep else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        row = run(night, SHORT if given.short else FULL, folder)
        _say(str(row))
        missed += not row.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
