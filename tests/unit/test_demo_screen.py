import io

import pytest
from rich.console import Console

from worker.demo.samples import SAMPLES
from worker.demo.screen import _fitting, codes_table, failures_table
from worker.demo.tracker import TrackedCode

KEY = "demo-0000:short-lived"


def row(number: int, state: str = "dead", **more: object) -> TrackedCode:
    values: dict[str, object] = {
        "key": KEY,
        "description": "HTTP 503 once: come back in 2 s",
        "mobile": "138****8000",
        "sent_at": 0.0,
    }
    values |= {
        "state": state,
        "reply": "the number is on a list " * 5,
        "reason": "key_conflict",
        "attempts": 1,
        "ended_at": number,
    }
    return TrackedCode(**{**values, **more})  # type: ignore[arg-type] # a mapping has no types of its own


def printed(table: object, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    console.print(table)
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 110, 150])
def test_only_the_reply_is_cut_where_room_is_short(width: int) -> None:
    """A key that is cut could not be copied to `voicecode dead show`."""
    for table in (codes_table([row(1)], "Codes", width), failures_table([row(1)], width)):
        lines = printed(table, width)
        assert max(map(len, lines)) <= width
        assert [line for line in lines if KEY in line and "138****8000" in line and "the nu" in line]
        assert len(lines) == 6


def test_a_small_terminal_shows_the_codes_that_are_on_their_way() -> None:
    over = [row(number) for number in range(20)]
    going = [row(0, "waiting", ended_at=None), row(0, "calling", ended_at=None)]
    shown = _fitting([*over, *going], 5)
    assert len(shown) == 5
    assert [r.state for r in shown][-2:] == ["waiting", "calling"]


def test_every_part_has_a_name_of_its_own_and_the_duplicates_name_another() -> None:
    names = [sample.name for sample in SAMPLES]
    assert len(set(names)) == len(names)
    assert {sample.key_of for sample in SAMPLES if sample.key_of} < set(names)
    assert {bool(sample.key_of) for sample in SAMPLES if sample.duplicate} == {True}
