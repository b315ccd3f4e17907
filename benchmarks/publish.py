"""What a run leaves in docs/: every figure as JSON, and the tables and chart made from it."""

import json
import textwrap
from typing import Any, Final

from benchmarks import chart, goals, report
from benchmarks.results import Results
from benchmarks.venvs import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
FIGURES: Final = ROOT / "docs" / "performance.json"
CHART: Final = ROOT / "docs" / "performance.svg"
BEGIN: Final = "<!-- figures: made by ./run bench --publish -->"
END: Final = "<!-- end of figures -->"


def judged(results: Results) -> list[goals.Verdict]:
    """Compare a run with the goals; who lost codes is nobody's rival."""
    return goals.judge(results.medians(), losers=[who for who, count in results.lost.items() if count])


def as_json(results: Results, machine: dict[str, Any]) -> str:
    """Return every figure of a run."""
    return (
        json.dumps(
            {"machine": machine, **results.as_dict(), "goals": goals.as_dicts(judged(results))}, indent=1
        )
        + "\n"
    )


def markdown(results: Results, machine: dict[str, Any]) -> str:
    """Return the tables as they stand in the page."""
    run = "The run: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."
    parts = [BEGIN, textwrap.fill(run, 100)]
    for table in report.tables(results, judged(results)):
        rule = ["---", *("---:" for _ in table.headings[1:])]
        lines = [" | ".join(row) for row in (table.headings, rule, *table.rows)]
        parts.append("\n".join([f"**{table.title}**", "", *(f"| {line} |" for line in lines)]))
    return "\n\n".join([*parts, END])


def drawn(results: Results, machine: dict[str, Any]) -> str:
    """Return the chart."""
    return chart.draw(
        results.medians(),
        f"Medians of one run on {machine['cores']} cores. The peers do the bare POST and nothing else.",
    )


def publish(results: Results, machine: dict[str, Any]) -> None:
    """Write all three; of the page only what stands between the marks."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + markdown(results, machine) + after, "utf-8")
    FIGURES.write_text(as_json(results, machine), "utf-8")
    CHART.write_text(drawn(results, machine), "utf-8")
