"""`docs/command-line.md` says what the commands do."""

import re
from pathlib import Path

from worker.cli.exit_codes import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")


def test_the_page_has_every_exit_code_with_its_meaning() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(str(code), name, meaning) for code, (name, meaning) in CODES.items()]
