"""What a person reads: the table of contestants, ours alone, and the goals."""

import dataclasses
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.field import FIELD, OURS
from benchmarks.goals import BARE, Verdict
from benchmarks.results import Results

Column = tuple[str, str, float, str]
"""Heading, measure, factor, format."""

COLUMNS: Final[tuple[tuple[str, tuple[Column, ...]], ...]] = (
    (
        "Throughput and what it costs",
        (
            ("codes/s, 0ms", "throughput_0ms", 1, ".0f"),
            ("codes/s, 100ms", "throughput_100ms", 1, ".0f"),
            ("CPU ms/code, 0ms", "cpu_0ms", 1000, ".2f"),
            ("CPU ms/code, 100ms", "cpu_100ms", 1000, ".2f"),
            ("Redis ms/code, 0ms", "redis_cpu_0ms", 1000, ".3f"),
            ("MB, 0ms", "memory_0ms", 1, ".0f"),
            ("MB, 100ms", "memory_100ms", 1, ".0f"),
        ),
    ),
    (
        "From the producer's call to the gateway, ms; start-up; cost in the web app",
        (
            ("p50, 50/s", "latency_50_p50", 1000, ".1f"),
            ("p95", "latency_50_p95", 1000, ".1f"),
            ("p99", "latency_50_p99", 1000, ".1f"),
            ("p50 from the call's end", "latency_50_after_p50", 1000, ".1f"),
            ("p99", "latency_50_after_p99", 1000, ".1f"),
            ("half load/s", "latency_half_rate", 1, ".0f"),
            ("its p50", "latency_half_p50", 1000, ".1f"),
            ("its p95", "latency_half_p95", 1000, ".1f"),
            ("its p99", "latency_half_p99", 1000, ".1f"),
            ("start-up s", "startup_seconds", 1, ".2f"),
            ("enqueue ms", "enqueue_seconds", 1000, ".2f"),
            ("CPU ms", "enqueue_cpu", 1000, ".2f"),
        ),
    ),
)
ALONE: Final = (
    ("1 process of 10 slots, 100ms", "throughput_1_processes", "codes/s"),
    ("2 processes", "throughput_2_processes", "codes/s"),
    ("4 processes", "throughput_4_processes", "codes/s"),
    ("nothing waiting, 0ms", "throughput_uncrowded", "codes/s"),
    ("a crowd of waiting codes, 0ms", "throughput_due", "codes/s"),
    ("a crowd of dead letters, 0ms", "throughput_dead", "codes/s"),
    ("200 calls in flight over http", "inflight_http", "MB"),
    ("200 calls in flight over https", "inflight_https", "MB"),
    ("a message by the client, in the web app", "publish_client_us", "us"),
    ("its CPU", "publish_client_cpu_us", "us"),
    ("a message by stock Celery, in the web app", "publish_celery_us", "us"),
    ("its CPU", "publish_celery_cpu_us", "us"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One table, as text; the first column stands to the left, the others to the right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(results: Results, verdicts: list[Verdict]) -> list[Shown]:
    """Return everything that was measured."""
    found = [
        *(_contestants(results, title, columns) for title, columns in COLUMNS),
        _alone(results),
        _goals(verdicts),
    ]
    return [table for table in found if table.rows]


def show(console: Console, results: Results, verdicts: list[Verdict]) -> None:
    """Print the tables, and what went wrong."""
    for shown in tables(results, verdicts):
        table = Table(title=shown.title, title_justify="left")
        for number, heading in enumerate(shown.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in shown.rows:
            table.add_row(*row, style="bold" if row[0].startswith("ours:") else "")
        console.print(table)
    for problem in results.problems:
        console.print(f"problem: {problem}", highlight=False, markup=False)


def _contestants(results: Results, title: str, columns: tuple[Column, ...]) -> Shown:
    rows = []
    for name, text in [*((c.name, c.title) for c in FIELD), (BARE, "no queue: Session.post in a loop")]:
        cells = [_cell(results.median(measure, name), factor, form) for _, measure, factor, form in columns]
        if any(cells):
            lost = f" (lost {results.lost[name]})" if results.lost.get(name) else ""
            rows.append((text + lost, *cells))
    return Shown(title=title, headings=("", *(heading for heading, *_ in columns)), rows=tuple(rows))


def _alone(results: Results) -> Shown:
    figures = [(text, results.median(measure, OURS), unit) for text, measure, unit in ALONE]
    figures.append(
        ("the gateway's own ceiling, pipelined", results.median("gateway_ceiling", "0ms"), "requests/s")
    )
    rows = tuple((text, f"{value:.0f}", unit) for text, value, unit in figures if value is not None)
    return Shown(title="Ours alone", headings=("", "median", ""), rows=rows)


def _goals(verdicts: list[Verdict]) -> Shown:
    rows = []
    for verdict in verdicts:
        goal = verdict.goal
        measured = "-" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        word = "not measured" if verdict.ratio is None else "met" if verdict.met else "not met"
        limit = f"{goal.bound.value} {goal.limit:g}" + (" (moonshot)" if goal.moonshot else "")
        rows.append((goal.text, limit, measured, "" if verdict.rival == OURS else verdict.rival, word))
    return Shown(title="Goals", headings=("", "goal", "measured", "against", ""), rows=tuple(rows))


def _cell(value: float | None, factor: float, form: str) -> str:
    return "" if value is None else format(value * factor, form)
