"""Text for a terminal: foreign text may neither move the cursor nor reverse a line."""

import json
from collections.abc import Mapping
from typing import Any

import click

from config.masking import spell_out_controls


def say(text: str, *, err: bool = False) -> None:
    """Print lines, each without control characters."""
    click.echo(spell_out_controls(text, keep="\n"), err=err)


def say_json(values: Mapping[str, Any]) -> None:
    """Print one object on one line.

    Characters that a terminal acts on are escaped, as JSON allows.
    """
    text = json.dumps(values, ensure_ascii=False)
    click.echo("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))
