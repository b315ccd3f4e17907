"""The short form of every night: all durations are a tenth, even the workers' own times."""

from pathlib import Path

import pytest

from tests.nights.night import SHORT, Night
from tests.nights.table import NIGHTS, run


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS)
def test_a_night_meets_its_goal(night: Night, tmp_path: Path) -> None:
    row = run(night, SHORT, tmp_path)
    assert row.met, str(row)
