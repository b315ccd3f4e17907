"""Screen: a live table on a terminal, else a line for each change.

Also the tables that stay, and their picture for the README.
"""

import io
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from worker.demo.tracker import QUEUED, TrackedCode, Tracker

_WIDE: Final = 118
_NARROW: Final = 90
_PLAIN_WIDTH: Final = 150
_PICTURE_WIDTH: Final = 132
_LOOK_SECONDS: Final = 0.08
_COLOURS: Final = {
    "accepted": "green",
    "dead": "red",
    "waiting": "yellow",
    "calling": "cyan",
    "replayed": "magenta",
}
_REMOTE_FONT: Final = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_NUMBER: Final = re.compile(r"\d+")
_FRAME_LINES: Final = 6
_REPLY: Final = "last reply"
_NUMBERS: Final = frozenset({"tries", "time", "rang?"})
_PALE: Final = "bright_black"
_TROUBLE: Final = "bold yellow"


class Screen:
    """What the person sees. `picture`: keep the tables for `save`."""

    def __init__(self, console: Console | None = None, *, plain: bool = False, picture: bool = False) -> None:
        self.console: Final = console or Console(highlight=False)
        self.live: Final = self.console.is_terminal and not plain
        if not self.live:
            self.console.width = max(self.console.width, _PLAIN_WIDTH)
        self._picture = (
            Console(record=True, width=_PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
            if picture
            else None
        )

    def say(self, text: str, style: str = "bold") -> None:
        """Say what happens next."""
        self.console.print(f"\n{text}", style=style, markup=False)

    def table(self, made: Callable[[int], Table]) -> None:
        """Show a table that stays. `made`: makes it for a width in columns."""
        self.console.print()
        self.console.print(made(self.console.width))
        if self._picture:
            self._picture.print(made(_PICTURE_WIDTH))

    def save(self, file: Path, title: str) -> None:
        """Write all tables shown so far as one picture."""
        if self._picture:
            file.write_text(_REMOTE_FONT.sub("", self._picture.export_svg(title=title)), "utf-8")

    def follow(
        self,
        tracker: Tracker,
        over: Callable[[], bool],
        seconds: float,
        status: Callable[[], str] = lambda: "",
    ) -> bool:
        """Show the codes until `over` returns True. Returns False if `seconds` pass first.

        `status`: a few words on how things stand, shown with the codes.
        """
        end = time.monotonic() + seconds
        if not self.live:
            return self._print_changes(tracker, over, end, status)
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while not over():
                tracker.look()
                fitting = _fitting(tracker.page, self.console.height - _FRAME_LINES)
                trouble = status()
                title = Text.assemble("Codes under way", (f": {trouble}" if trouble else "", _TROUBLE))
                live.update(codes_table(fitting, title, self.console.width), refresh=True)
                if time.monotonic() > end:
                    return False
                time.sleep(_LOOK_SECONDS)
        return True

    def _print_changes(
        self, tracker: Tracker, over: Callable[[], bool], end: float, status: Callable[[], str]
    ) -> bool:
        shown = ""
        while not over():
            now = status()
            # A number that rises is no news.
            if (news := _NUMBER.sub("", now)) != shown:
                shown = news
                self.console.print(f"         {now or 'all is well again'}", style="bold", markup=False)
            for row in tracker.look():
                self.console.print(_line(row), soft_wrap=True)
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True


def codes_table(rows: Sequence[TrackedCode], title: str | Text, width: int) -> Table:
    """Return one line for each code; a narrow screen leaves out what happens to it."""
    wide = width >= _WIDE
    lines = []
    for row in rows:
        description = [Text(row.description, style=_PALE)] if wide else []
        state = Text(row.state, style=_COLOURS.get(row.state, _PALE))
        tries = str(row.attempts or "")
        lines.append(
            [
                Text(row.key),
                Text(row.mobile),
                *description,
                state,
                Text(tries),
                Text(row.reply),
                Text(f"{row.seconds:.1f} s"),
            ]
        )
    names = ["key", "number", *(["what happens to it"] if wide else []), "state", "tries", _REPLY, "time"]
    return _table(title, names, lines, width)


def failures_table(rows: Sequence[TrackedCode], width: int) -> Table:
    """Return the failure queue; a narrow screen leaves out the number of tries."""
    wide = width >= _NARROW
    lines = []
    for row in rows:
        rung = Text(f"{row.ambiguous} x", style="yellow") if row.ambiguous else Text("no")
        tries = [Text(str(row.attempts))] if wide else []
        lines.append(
            [Text(row.key), Text(row.mobile), Text(row.reason, style="red"), *tries, Text(row.reply), rung]
        )
    names = ["key", "number", "reason", *(["tries"] if wide else []), _REPLY, "rang?"]
    return _table("The failure queue", names, lines, width)


def _table(title: str | Text, names: Sequence[str], lines: Sequence[Sequence[Text]], width: int) -> Table:
    """Return a table of one-line cells. Where space is short, only the reply is cut."""
    table = Table(title=title, title_justify="left", title_style="bold")
    needed = [
        max(len(name), *(len(line[n]) for line in lines)) if lines else len(name)
        for n, name in enumerate(names)
    ]
    reply = (
        width
        - sum(room for room, name in zip(needed, names, strict=True) if name != _REPLY)
        - 3 * len(names)
        - 1
    )
    for name, room in zip(names, needed, strict=True):
        most = min(room, max(reply, len(_REPLY))) if name == _REPLY else room
        table.add_column(
            name,
            no_wrap=True,
            justify="right" if name in _NUMBERS else "left",
            min_width=most,
            max_width=most,
        )
    for line in lines:
        table.add_row(*line)
    return table


def _fitting(rows: Sequence[TrackedCode], height: int) -> Sequence[TrackedCode]:
    """Return as many rows as a small terminal can hold: those under way first."""
    if len(rows) <= height:
        return rows
    chosen = sorted(rows, key=lambda row: (row.over, row.state == QUEUED, -(row.ended_at or 0)))[
        : max(height, 1)
    ]
    return [row for row in rows if row in chosen]


def _line(row: TrackedCode) -> Text:
    attempts = f"{row.attempts} attempt{'s' if row.attempts != 1 else ''}" if row.attempts else ""
    return Text(
        f"{row.seconds:6.2f} s  {row.key:24} {row.mobile:12} {row.state:9} {attempts:11} {row.reply}".rstrip()
    )
