"""docs/replies.md is what the table and the scenarios say."""

from pathlib import Path

from config.replies import ROWS
from worker.simulator.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "replies.md"


def test_the_page_is_up_to_date() -> None:
    """Make it again with `python -m worker.simulator.page > docs/replies.md`."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_row_stands_on_the_page_once() -> None:
    lines = page().split("## The simulator")[0].splitlines()
    for row in ROWS:
        assert sum(line.startswith(f"| `{row.name}`") for line in lines) == 1, row.name


def test_a_row_of_the_page_has_as_many_cells_as_its_table() -> None:
    wrong = []
    columns = 0
    for line in page().splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        cells = line.count(" | ") + 1
        columns = columns or cells
        wrong += [line] if cells != columns else []
    assert wrong == []
