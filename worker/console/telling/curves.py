"""Curves: series of the last hour as points of small pictures, drawn on the server."""

import dataclasses
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 240
HEIGHT: Final = 44
_PAD: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One picture. `lines`: points of each unbroken part, as `polyline` takes them."""

    lines: tuple[str, ...]
    last: float | None
    """The latest value; None if nothing was measured."""
    top: float
    """The value at the upper edge."""


def draw(points: Sequence[tuple[float, float | None]], *, now: float, span_seconds: float) -> Curve:
    """Draw values against their times, in epoch seconds, ascending. None breaks the line."""
    top = max((value for _, value in points if value is not None), default=0.0)
    parts: list[list[str]] = [[]]
    for at, value in points:
        if value is None:
            parts.append([])
            continue
        x = WIDTH * (1 - (now - at) / span_seconds)
        y = HEIGHT - _PAD - (HEIGHT - 2 * _PAD) * (value / top if top else 0)
        if x >= 0:
            parts[-1].append(f"{x:.0f},{y:.1f}")
    lines = tuple(" ".join(part if len(part) > 1 else part * 2) for part in parts if part)
    return Curve(lines=lines, last=points[-1][1] if points else None, top=top)
