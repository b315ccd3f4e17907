"""Results: every figure that was measured, by measure and contestant, and the medians."""

import dataclasses
import statistics
from collections import defaultdict
from typing import Any, Self

Medians = dict[str, dict[str, float]]
"""Measure -> contestant -> median of the repetitions."""


@dataclasses.dataclass(slots=True)
class Results:
    """Figures as they come. `lost` and `doubled` are sums over all drains of a contestant."""

    samples: dict[str, dict[str, list[float]]] = dataclasses.field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    lost: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    doubled: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    problems: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        """Return what `as_dict` wrote."""
        results = cls()
        for measure, rows in kept["samples"].items():
            for who, values in rows.items():
                for value in values:
                    results.note(measure, who, value)
        results.lost.update(kept["lost"])
        results.doubled.update(kept["doubled"])
        results.problems.extend(kept["problems"])
        return results

    def note(self, measure: str, who: str, value: float) -> None:
        """Take one figure."""
        self.samples[measure][who].append(value)

    def median(self, measure: str, who: str) -> float | None:
        """Return the median, or None where nothing was measured."""
        values = self.samples[measure][who] if who in self.samples.get(measure, {}) else []
        return statistics.median(values) if values else None

    def medians(self) -> Medians:
        """Return all of them."""
        return {
            measure: {who: statistics.median(v) for who, v in rows.items()}
            for measure, rows in self.samples.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything, to be written as JSON."""
        samples = {
            measure: {who: list(values) for who, values in rows.items()}
            for measure, rows in self.samples.items()
        }
        return {
            "medians": self.medians(),
            "samples": samples,
            "lost": {who: count for who, count in self.lost.items() if count},
            "doubled": {who: count for who, count in self.doubled.items() if count},
            "problems": self.problems,
        }
