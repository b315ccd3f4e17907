"""Pairs: ours beside ours, drain by drain: another commit, other settings, or codes in clear.

1. each pair drains a full queue twice, once with each of the two; which goes first changes
2. a pair's ratio is this one's figure by the other's, so that a noisy minute hits both
3. the median of the ratios counts
"""

import contextlib
import dataclasses
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks import gateways, sealed
from benchmarks.field import BY_NAME, OURS, Contestant
from benchmarks.kombu_message import Seal
from benchmarks.measures import announce, setup_of
from benchmarks.trial import Drained, TrialError, drain
from benchmarks.venvs import ROOT

LEAST_THROUGHPUT: Final = 0.95
MOST_CPU: Final = 1.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two. `settings`: ours, by their names in lower case."""

    name: str
    contestant: Contestant
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seal: Seal | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The first side's figures by the other side's, pair by pair."""

    least_throughput: float
    most_cpu: float | None
    """None: no goal."""
    throughput: list[float]
    cpu: list[float]
    redis_cpu: list[float]

    @property
    def met(self) -> bool:
        """Whether the medians keep what is promised."""
        kept = statistics.median(self.throughput) >= self.least_throughput
        return kept and (self.most_cpu is None or statistics.median(self.cpu) <= self.most_cpu)


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Check a commit out into a folder of its own. Raises TrialError."""
    with tempfile.TemporaryDirectory(prefix="voicecode-before-") as temporary:
        folder = Path(temporary) / "checkout"
        git = ["git", "-C", str(ROOT), "worktree"]
        added = subprocess.run(
            [*git, "add", "--detach", str(folder), commit], capture_output=True, text=True, check=False
        )
        if added.returncode:
            raise TrialError(added.stderr)
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=False)


@contextlib.contextmanager
def other_side(before: str | None, settings: Mapping[str, str]) -> Iterator[Side]:
    """Give the side that this checkout is compared with: a commit, or other settings."""
    ours = BY_NAME[OURS]
    named = " ".join(f"{name}={value}" for name, value in settings.items())
    if before is None:
        yield Side(name=named, contestant=ours, settings=settings)
        return
    with checkout(before) as folder:
        contestant = dataclasses.replace(ours, checkout=folder)
        yield Side(name=f"{before} {named}".strip(), contestant=contestant, settings=settings)


def this_side() -> Side:
    """Return this checkout."""
    return Side(name="this checkout", contestant=BY_NAME[OURS])


def in_clear_and_sealed(*, by: str) -> tuple[Side, Side]:
    """Return this checkout with codes in clear, and sealed by their producer or by the worker."""
    ours = BY_NAME[OURS]
    plain = Side(name="in clear", contestant=ours, settings=sealed.settings(sealed=False))
    given, seal = sealed.settings(sealed=True), sealed.seal if by == "producer" else None
    return plain, Side(name=f"sealed by the {by}", contestant=ours, settings=given, seal=seal)


def measure(this: Side, other: Side, pairs: int, scale: float) -> Ratios:
    """Run the pairs. Raises TrialError."""
    goals = (sealed.LEAST_THROUGHPUT, None) if this.settings else (LEAST_THROUGHPUT, MOST_CPU)
    ratios = Ratios(least_throughput=goals[0], most_cpu=goals[1], throughput=[], cpu=[], redis_cpu=[])
    for number in range(pairs):
        order = (this, other) if number % 2 else (other, this)
        found = {side.name: _drain(side, scale) for side in order}
        mine, theirs = found[this.name], found[other.name]
        ratios.throughput.append(mine.codes_a_second / theirs.codes_a_second)
        ratios.cpu.append(mine.cpu_seconds_a_code / theirs.cpu_seconds_a_code)
        ratios.redis_cpu.append(mine.redis_cpu_seconds_a_code / theirs.redis_cpu_seconds_a_code)
        announce(f"pair {number + 1}: throughput {ratios.throughput[-1]:.2f}, CPU {ratios.cpu[-1]:.2f}")
    return ratios


def _drain(side: Side, scale: float) -> Drained:
    with (
        gateways.fast(0) as gateway,
        setup_of(side.contestant, gateway, 0, settings=dict(side.settings), seal=side.seal) as setup,
    ):
        drained = drain(setup, max(40, int(side.contestant.codes[0] * scale)))
    if drained.lost or drained.doubled:
        message = f"{side.name}: {drained.lost} lost, {drained.doubled} called twice"
        raise TrialError(message)
    return drained


def show(console: Console, this: Side, other: Side, ratios: Ratios) -> None:
    """Print the ratios as a table."""
    table = Table(title=f"{this.name} by {other.name}, {len(ratios.cpu)} pairs")
    for column in ("", "median", "least", "most", "goal"):
        table.add_column(column)
    rows = (
        ("throughput", ratios.throughput, f"≥ {ratios.least_throughput}"),
        ("CPU a code, workers", ratios.cpu, f"≤ {ratios.most_cpu}" if ratios.most_cpu else ""),
        ("CPU a code, Redis", ratios.redis_cpu, ""),
    )
    for name, values, goal in rows:
        figures = (statistics.median(values), min(values), max(values))
        table.add_row(name, *(f"{figure:.3f}" for figure in figures), goal)
    console.print(table)
