"""`./run bench`: measure ours beside the queues a user might pick instead.

All run on one machine, in one run, against one gateway.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import measures, ours, pairs, publish, publishers, report
from benchmarks.field import BY_NAME, FIELD
from benchmarks.gateways import nginx_program
from benchmarks.measures import Plan
from benchmarks.results import Results
from benchmarks.trial import TrialError
from benchmarks.venvs import SetUpError, bin_of, write_locks
from config.settings import Settings

MEASURES: Final[dict[str, Callable[[Results, Plan], None]]] = {
    "drain": measures.drains,
    "latency": measures.latencies,
    "startup": measures.startups,
    "enqueue": measures.enqueues,
    "publish": publishers.publishers,
    "scaling": ours.scaling,
    "crowded": ours.crowded,
    "inflight": ours.inflight,
}
QUICK: Final = {"repetitions": 1, "scale": 0.1, "latency_seconds": 3.0, "crowd": 20_000}


def _chosen(text: str, known: dict[str, Any]) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        message = f"no such name: {', '.join(unknown)}; known: {', '.join(known)}"
        raise argparse.ArgumentTypeError(message)
    return [name for name in known if name in names]


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in Settings.model_fields:
        message = f"no setting of ours: {text}; write it as stop_sending=false"
        raise argparse.ArgumentTypeError(message)
    return name, value


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of everything, once: shows that it works, measures little",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a goal that was measured is not met"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write docs/performance.json and .svg, and the tables of docs/performance.md",
    )
    parser.add_argument(
        "--only", type=lambda text: _chosen(text, BY_NAME), default=list(BY_NAME), metavar="NAME,..."
    )
    parser.add_argument(
        "--measure", type=lambda text: _chosen(text, MEASURES), default=list(MEASURES), metavar="NAME,..."
    )
    parser.add_argument(
        "--repetitions", type=int, help="of each trial; the median counts (3, with --quick 1)"
    )
    parser.add_argument(
        "--scale", type=float, help="multiplies the number of codes in each drain (1, with --quick 0.1)"
    )
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing: read what --json wrote")
    parser.add_argument("--before", metavar="COMMIT", help="only drains of ours, in pairs with a commit's")
    parser.add_argument(
        "--with",
        dest="settings",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the other side of each pair, e.g. stop_sending=false",
    )
    parser.add_argument(
        "--sealed",
        choices=("producer", "worker"),
        help="only drains of ours, in pairs: sealed by one of these, and in clear",
    )
    parser.add_argument("--pairs", type=int, default=10, help="how many pairs (%(default)s)")
    parser.add_argument(
        "--lock", action="store_true", help="measure nothing: write peers/*.txt afresh (needs uv)"
    )
    return parser.parse_args()


def machine(plan: Plan) -> dict[str, Any]:
    """Say where and how it was measured."""
    facts = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    how = {"repetitions": plan.repetitions, "scale": plan.scale, "crowd": plan.crowd}
    return {
        **facts,
        "gateway": "nginx" if nginx_program() else "own",
        "load before": round(os.getloadavg()[0], 2),
        **how,
    }


def plan_of(chosen: argparse.Namespace) -> Plan:
    """Return how much is to be run."""
    asked = {"repetitions": chosen.repetitions, "scale": chosen.scale}
    changes: dict[str, Any] = {
        **(QUICK if chosen.quick else {}),
        **{name: value for name, value in asked.items() if value},
    }
    return Plan(
        contestants=tuple(contestant for contestant in FIELD if contestant.name in chosen.only), **changes
    )


def measure(plan: Plan, names: list[str], keep: Callable[[Results], None]) -> Results:
    """Run it, and keep what there is after each measure. Raises SetUpError."""
    for venv in sorted({"celery", *(contestant.venv for contestant in plan.contestants)}):
        bin_of(venv)
    results = Results()
    ours.ceilings(results)
    for name in names:
        MEASURES[name](results, plan)
        keep(results)
    return results


def _keep(results: Results, facts: dict[str, Any], file: Path | None) -> None:
    if file:
        file.write_text(publish.as_json(results, facts))


def _pairs(chosen: argparse.Namespace) -> int:
    bin_of("celery")
    console = Console(width=None if sys.stdout.isatty() else 100)
    with contextlib.ExitStack() as stack:
        if chosen.sealed:
            other, this = pairs.in_clear_and_sealed(by=chosen.sealed)
        else:
            this = pairs.this_side()
            other = stack.enter_context(pairs.other_side(chosen.before, dict(chosen.settings)))
        ratios = pairs.measure(this, other, chosen.pairs, plan_of(chosen).scale)
        pairs.show(console, this, other, ratios)
    return int(chosen.check and not ratios.met)


def main() -> int:
    """Measure, show, write, judge."""
    chosen = read_arguments()
    try:
        if chosen.before or chosen.settings or chosen.sealed:
            return _pairs(chosen)
        if chosen.lock:
            write_locks()
            return 0
        if chosen.show:
            kept = json.loads(chosen.show.read_text())
            results, facts = Results.of(kept), kept["machine"]
        else:
            plan = plan_of(chosen)
            facts = machine(plan)
            results = measure(plan, chosen.measure, lambda results: _keep(results, facts, chosen.json))
    except (SetUpError, TrialError) as error:
        print(error, file=sys.stderr)
        return 1
    verdicts = publish.judged(results)
    report.show(Console(width=None if sys.stdout.isatty() else 150), results, verdicts)
    if chosen.publish:
        publish.publish(results, facts)
    return int(chosen.check and any(verdict.failed for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
