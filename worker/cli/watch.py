"""The status screen, live: read every two seconds until Ctrl-C."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import redis
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from worker.cli.fleet import overview_lines
from worker.metrics.snapshot import Snapshot, Source

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_SECONDS: Final = 2.0
_STYLES: Final = {"sending": "green", "trial": "yellow", "stopped": "bold red", "held": "bold yellow"}


def watch(
    source: Source, *, console: Console | None = None, pause: Callable[[float], None] = time.sleep
) -> None:
    """Show the fleet until somebody interrupts. While Redis is away the screen says so."""
    console = console or Console(no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
    before: Snapshot | None = None
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                snapshot = source.read()
            except redis.RedisError as error:
                live.update(Text(f"Redis cannot be reached: {error}", style="bold red"), refresh=True)
            else:
                live.update(screen(snapshot, before), refresh=True)
                before = snapshot
            pause(EVERY_SECONDS)


def screen(now: Snapshot, before: Snapshot | None) -> "RenderableType":
    """Return one screen. Lines that are too long for the terminal end in an ellipsis."""
    lines = [*overview_lines(now.overview), f"{'since the last':<14} {_flow(now, before)}"]
    texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
    texts[0].stylize(_STYLES[now.overview.sending.state.value])
    return Group(*texts)


def _flow(now: Snapshot, before: Snapshot | None) -> str:
    """Return what was counted since the screen before."""
    if before is None:
        return "look: counting begins"
    new, old = now.counters, before.counters
    accepted, dead = new.accepted - old.accepted, sum(new.dead.values()) - sum(old.dead.values())
    first = new.first_seen - old.first_seen
    seconds = now.now - before.now
    return f"{seconds:.1f} s: {first:,} new, {accepted:,} accepted, {dead:,} dead"
