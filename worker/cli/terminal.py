"""Text for a terminal: no text of a stranger's may move the cursor or turn a line round."""

import json
from collections.abc import Mapping
from typing import Any

import click


def plain(text: str) -> str:
    r"""Return `text` with control, format and surrogate characters spelled out: `\x1b`, `\u202e`.

    Escape sequences could rewrite the screen. Bidirectional marks could show a number or a command in
    another order. Spaces of any width become a space.
    """
    return "".join(_plain_character(character) for character in text)


def _plain_character(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() and character > "\x9f" else repr(character)[1:-1]


def say(text: str, *, err: bool = False) -> None:
    """Print lines, each without control characters."""
    click.echo("\n".join(map(plain, text.split("\n"))), err=err)


def say_json(values: Mapping[str, Any]) -> None:
    """Print one object on one line.

    Characters that a terminal acts on are escaped, as JSON allows.
    """
    text = json.dumps(values, ensure_ascii=False)
    click.echo("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))
