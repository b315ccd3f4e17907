"""The scripts and the enums say the same: neither knows a status that the other does not."""

import enum
import re
from pathlib import Path

import pytest

from worker.failure_queue import DiscardStatus, RemoveStatus, ReplayStatus, RestoreStatus, UndoStatus
from worker.failure_queue.statuses import read_statuses

ROOT = Path(__file__).parents[2] / "worker" / "failure_queue"

ENUMS: dict[tuple[str, ...], type[enum.StrEnum]] = {
    ("entries", "inspect", "replay"): ReplayStatus,
    ("discard",): DiscardStatus,
    ("undo",): UndoStatus,
    ("remove",): RemoveStatus,
    ("restore",): RestoreStatus,
}


def named(file: str) -> set[str]:
    """Return the texts that a script, without what it includes, returns or keeps as a status."""
    text = (ROOT / f"{file}.lua").read_text()
    lines = [line for line in text.splitlines() if re.search(r"\bstatus = |\breturn ", line)]
    return {found for line in lines for found in re.findall(r"'([a-z_]+)'", line.split(" then ")[-1])}


@pytest.mark.parametrize(("files", "kind"), ENUMS.items(), ids=str)
def test_a_script_and_its_enum_name_the_same_statuses(
    files: tuple[str, ...], kind: type[enum.StrEnum]
) -> None:
    assert set().union(*map(named, files)) == {
        status.value for status in kind if status is not RestoreStatus.LEFT_OUT
    }


def test_an_answer_that_no_enum_has_is_refused() -> None:
    with pytest.raises(ValueError, match="gone"):
        read_statuses(RemoveStatus, ["removed", "gone"])
