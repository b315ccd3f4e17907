"""The gateway is away for long: waiting codes cost little, and its return meets no storm."""

import sys
from pathlib import Path

import pytest

from tests.chaos.long_outage import Figures, Scale, measure
from worker.embedded.server import Server, start_server

SMALL = Scale(
    codes=1000,
    life_seconds=10,
    outage_seconds=2,
    settings={
        "upkeep_interval_seconds": 0.2,
        "upkeep_batch": 10,
        "concurrency": 50,
    },
)
LARGE = Scale(
    codes=100_000,
    life_seconds=480,
    outage_seconds=60,
    settings={
        "upkeep_interval_seconds": 1,
        "upkeep_batch": 200,
        "concurrency": 50,
    },
)


def check(scale: Scale, figures: Figures) -> None:
    assert figures.waiting >= 0.75 * scale.codes
    assert figures.memory_most <= 1.2 * figures.memory_before
    assert max(figures.new_code_waits) < 3, "new codes wait behind those that wait for their retry"
    assert set(figures.ends) == {"accepted", "expired"}
    assert figures.ends["expired"] >= 0.2 * scale.codes
    assert figures.late_burials < 60
    # One more than the jitter's worst: seconds do not begin with an upkeep.
    assert (
        0 < max(figures.submissions_per_second) <= scale.retries_per_second + scale.settings["upkeep_batch"]
    )


def test_an_outage_with_a_thousand_codes_waiting(server: Server, tmp_path: Path) -> None:
    figures = measure(SMALL, server, tmp_path)
    sys.stdout.write(figures.shown() + "\n")
    check(SMALL, figures)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_an_outage_with_a_hundred_thousand_codes_waiting(tmp_path: Path) -> None:
    with start_server(data_dir=tmp_path / "redis") as server:
        figures = measure(LARGE, server, tmp_path)
    sys.stdout.write(figures.shown() + "\n")
    check(LARGE, figures)
