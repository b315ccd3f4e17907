"""What a person reads: the table of contestants, ours alone, and the goals."""

from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.book import Book
from benchmarks.field import FIELD, OURS
from benchmarks.goals import BARE, Verdict

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
            ("half load, codes/s", "latency_half_rate", 1, ".0f"),
            ("p50", "latency_half_p50", 1000, ".1f"),
            ("p95", "latency_half_p95", 1000, ".1f"),
            ("p99", "latency_half_p99", 1000, ".1f"),
            ("start-up s", "startup_seconds", 1, ".2f"),
            ("enqueue ms", "enqueue_seconds", 1000, ".2f"),
            ("its CPU ms", "enqueue_cpu", 1000, ".2f"),
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
)


def show(console: Console, book: Book, verdicts: list[Verdict]) -> None:
    """Print everything that was measured."""
    for title, columns in COLUMNS:
        table = _table(book, title, columns)
        if table.row_count:
            console.print(table)
    alone = Table(title="Ours alone", title_justify="left")
    for heading in ("", "median", ""):
        alone.add_column(heading, justify="right" if heading else "left")
    for text, measure, unit in ALONE:
        value = book.median(measure, OURS)
        if value is not None:
            alone.add_row(text, f"{value:.0f}", unit)
    ceiling = book.median("gateway_ceiling", "0ms")
    if ceiling is not None:
        alone.add_row("the gateway's own ceiling, one connection, pipelined", f"{ceiling:.0f}", "requests/s")
    console.print(alone)
    console.print(goals(verdicts))
    for problem in book.problems:
        console.print(f"[red]problem:[/] {problem}", highlight=False)


def _table(book: Book, title: str, columns: tuple[Column, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading, *_ in columns:
        table.add_column(heading, justify="right")
    for name, text in [*((c.name, c.title) for c in FIELD), (BARE, "no queue: Session.post in a loop")]:
        cells = [_cell(book.median(measure, name), factor, form) for _, measure, factor, form in columns]
        if any(cells):
            lost = f" (lost {book.lost[name]})" if book.lost.get(name) else ""
            table.add_row(text + lost, *cells, style="bold" if name == OURS else "")
    return table


def _cell(value: float | None, factor: float, form: str) -> str:
    return "" if value is None else format(value * factor, form)


def goals(verdicts: list[Verdict]) -> Table:
    """Return the goals' table."""
    table = Table(title="Goals", title_justify="left")
    for heading in ("", "goal", "measured", "against", ""):
        table.add_column(heading, justify="right" if heading in {"goal", "measured"} else "left")
    for verdict in verdicts:
        goal = verdict.goal
        measured = "-" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        word = "not measured" if verdict.ratio is None else "met" if verdict.met else "not met"
        limit = f"{goal.bound.value} {goal.limit:g}" + (" (moonshot)" if goal.moonshot else "")
        table.add_row(goal.text, limit, measured, "" if verdict.rival == OURS else verdict.rival, word)
    return table
