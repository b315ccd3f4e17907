"""`docs/command-line.md` and the help of each command say what the commands do."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from worker.cli import voicecode
from worker.cli.exit_codes import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")


def test_the_page_has_every_exit_code_with_its_meaning() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(str(code), name, meaning) for code, (name, meaning) in CODES.items()]


def commands(command: click.Command, path: str = "voicecode") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(voicecode)), ids=str)
def test_help_can_be_read(path: str, command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=path, max_content_width=100))
    assert "\\b" not in text, "a raw docstring: click does not see its own mark"
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert len(max(text.splitlines(), key=len)) <= 100
