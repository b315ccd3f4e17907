"""`python -m tests.chaos`: one run of the chaos suite; exit status 1 if a promise was broken."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos.plan import Options
from tests.chaos.runner import Report, run

_SHOWN_AT_MOST = 10


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__)
    default = Options()
    add = parser.add_argument
    add("--seconds", type=float, default=default.seconds, help="of faults under load (default 60)")
    add("--seed", type=int, default=default.seed, help="of the faults and of the gateway's chance")
    add("--workers", type=int, default=default.workers)
    add("--rate", type=float, default=default.rate, help="codes a second (default 12)")
    add(
        "--every",
        type=float,
        default=default.fault_every_seconds,
        help="seconds between two faults, on average (default 2.5)",
    )
    add("--json", action="store_true", help="print one JSON object")
    add("--keep", type=Path, help="folder for logs, journal and Redis' files (default: removed at the end)")
    add(
        "--tests",
        action="store_true",
        help="first the tests that take minutes: the long outage, Sentinel and the like",
    )
    return parser.parse_args()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell(report: Report) -> None:
    for name, value in report.figures.items():
        counts = value.items() if isinstance(value, dict) else None
        shown = value if counts is None else ", ".join(f"{what} {count}" for what, count in counts)
        _write(f"{name:40} {shown}")
    for sentence, history in report.verdict.violations[:_SHOWN_AT_MOST]:
        _write(f"\nVIOLATION {sentence}\n{json.dumps(history.shown(), default=str, ensure_ascii=False)}")
    for sentence in report.fleet:
        _write(f"\nVIOLATION {sentence}")
    _write(
        "\nEvery promise was kept."
        if report.kept
        else "\nBROKEN: see the figures, and the histories if there are any."
    )


def _as_json(report: Report) -> dict[str, Any]:
    broken = [{"violation": sentence, **history.shown()} for sentence, history in report.verdict.violations]
    return {**report.figures, "kept": report.kept, "broken": broken}


def main() -> int:
    """Run; return the exit status."""
    given = _arguments()
    numbers = {name: getattr(given, name) for name in ("seconds", "seed", "workers", "rate")}
    options = Options(**numbers, fault_every_seconds=given.every)
    if given.tests and (
        failed := subprocess.run([sys.executable, "-m", "pytest", "-m", "chaos"], check=False).returncode
    ):
        return failed
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    if not given.json:
        _write(f"{len(options.schedule())} faults in {options.seconds:g} s, seed {options.seed} ...")
    report = run(options, given.keep)
    if given.json:
        _write(json.dumps(_as_json(report), default=str, ensure_ascii=False))
    else:
        _tell(report)
    return 0 if report.kept else 1


if __name__ == "__main__":
    sys.exit(main())
