"""The short form of every night: all durations are a tenth, even the workers' own times."""

from pathlib import Path

import pytest

from tests.nights.night import SHORT, Night
from tests.nights.table import NIGHTS, is_built, run


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS)
def test_a_night_meets_its_goal(night: Night, tmp_path: Path) -> None:
    if not is_built(night):
        pytest.skip(f"this version has no {night.needs}")
    row = run(night, SHORT, tmp_path)
    assert row.met, str(row)
