from pathlib import Path

import pytest

from worker.diagnosis import room as module
from worker.diagnosis.room import ACCEPTED_BYTES, DEAD_BYTES, WAITING_BYTES, room

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")


def test_what_waits_and_what_is_dead_leaves_less_for_accepted_codes() -> None:
    empty = room(1_000_000_000, waiting=0, dead=0, kept_seconds=86_400)
    full = room(1_000_000_000, waiting=1_000, dead=50_000, kept_seconds=86_400)

    assert empty.accepted == 800_000_000 // ACCEPTED_BYTES
    assert empty.accepted - full.accepted == pytest.approx(
        (1_000 * WAITING_BYTES + 50_000 * DEAD_BYTES) / ACCEPTED_BYTES, abs=1
    )
    assert full.per_second == full.accepted / 86_400
    assert room(1_000, waiting=9, dead=9, kept_seconds=1).accepted == 0


@pytest.mark.parametrize("size", ["ACCEPTED_BYTES", "WAITING_BYTES", "DEAD_BYTES"])
def test_the_page_has_the_sizes_that_the_check_computes_with(size: str) -> None:
    assert f"| {getattr(module, size):,} |" in OPERATING


@pytest.mark.parametrize("per_second", [1, 10, 100])
def test_the_pages_table_is_right(per_second: int) -> None:
    row = next(line for line in OPERATING.splitlines() if line.startswith(f"| {per_second} | "))
    sizes = [
        per_second * 86_400 * ACCEPTED_BYTES,
        per_second * 300 * WAITING_BYTES,
        per_second * 86_400 * 30 * DEAD_BYTES / 100,
    ]
    told = [cell.strip().split() for cell in row.strip("|").split("|")[1:]]
    for size, (figure, unit) in zip(sizes, told, strict=True):
        assert float(figure.replace(",", "")) == pytest.approx(
            size / {"MB": 1e6, "GB": 1e9}[unit], rel=0.03, abs=0.5
        )
