"""Layout: one line an entry, however narrow the terminal; in a pipe, cells separated by tabs."""

import dataclasses
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click
from rich.cells import cell_len

from config.masking import spell_out_controls

_GAP: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. `right`: its cells are aligned to the right.

    `rank`: where the terminal is too narrow, the column with the highest rank goes first; 0 stays.
    `short`: a shorter form of its cells, tried before any column goes.
    """

    name: str
    right: bool = False
    rank: int = 0
    short: Callable[[str], str] | None = None


def show(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table. A cell is never folded nor cut: what stands there can be copied."""
    texts = [["" if cell is None else one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    for line in lines(columns, texts, shutil.get_terminal_size().columns):
        click.echo(line)


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return header and rows, as far as possible no wider than `width`."""
    shown = list(range(len(columns)))
    cells = [list(row) for row in rows]
    if _width(columns, cells, shown) > width:
        for number, column in enumerate(columns):
            for row in cells if column.short else ():
                row[number] = column.short(row[number])  # type: ignore[misc]
    while _width(columns, cells, shown) > width and any(columns[number].rank for number in shown):
        shown.remove(max(shown, key=lambda number: columns[number].rank))
    widths = {number: _cells(columns, cells, number) for number in shown}
    header = _line(columns, [column.name for column in columns], widths)
    return [_bold(header), *(_line(columns, row, widths) for row in cells)]


def one_line(value: Any) -> str:
    """Return a value as text without line breaks, tabs and control characters."""
    return spell_out_controls(re.sub(r"[\t\n]", " ", str(value)))


def _cells(columns: Sequence[Column], rows: Sequence[Sequence[str]], number: int) -> int:
    return max([cell_len(columns[number].name), *(cell_len(row[number]) for row in rows)])


def _width(columns: Sequence[Column], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> int:
    return sum(_cells(columns, rows, number) for number in shown) + _GAP * (len(shown) - 1)


def _line(columns: Sequence[Column], row: Sequence[str], widths: dict[int, int]) -> str:
    parts = []
    for number, width in widths.items():
        space = " " * (width - cell_len(row[number]))
        parts.append(space + row[number] if columns[number].right else row[number] + space)
    return (" " * _GAP).join(parts).rstrip()


def _bold(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, bold=True)
