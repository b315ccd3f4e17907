"""The picture in docs/performance.md: codes a second of every contestant, as bars.

Plain SVG, readable on light and dark.
"""

from typing import Final
from xml.sax.saxutils import escape

from benchmarks.field import FIELD, OURS
from benchmarks.results import Medians

PANELS: Final = (("throughput_0ms", "gateway answers at once"), ("throughput_100ms", "gateway takes 100 ms"))
_LABELS: Final = 260
_BARS: Final = 380
_ROW: Final = 26
_OURS: Final = "#c2410c"
_PEER: Final = "#64748b"


def draw(medians: Medians, caption: str) -> str:
    """Return the picture; contestants stand in the order of their speed."""
    parts, top = [], 30
    for measure, title in PANELS:
        rows = sorted(medians.get(measure, {}).items(), key=lambda row: -row[1])
        rows = [row for row in rows if row[0] in {contestant.name for contestant in FIELD}]
        if not rows:
            continue
        parts.append(f'<text x="10" y="{top}" font-weight="bold">codes a second, {escape(title)}</text>')
        for who, value in rows:
            top += _ROW
            parts.append(_bar(who, value, rows[0][1], top))
        top += 2 * _ROW
    parts.append(f'<text x="10" y="{top}" font-size="11">{escape(caption)}</text>')
    width, height = _LABELS + _BARS + 80, top + 16
    style = "text{font-family:system-ui,sans-serif;font-size:13px;fill:#64748b}"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<style>{style}</style>", *parts, "</svg>", ""])


def _bar(who: str, value: float, best: float, top: int) -> str:
    title = next(contestant.title for contestant in FIELD if contestant.name == who)
    length, colour = max(1, round(_BARS * value / best)), _OURS if who == OURS else _PEER
    weight = ' font-weight="bold"' if who == OURS else ""
    return (
        f'<text x="{_LABELS - 8}" y="{top}" text-anchor="end"{weight}>{escape(title)}</text>'
        f'<rect x="{_LABELS}" y="{top - 13}" width="{length}" height="17" rx="2" fill="{colour}"/>'
        f'<text x="{_LABELS + length + 6}" y="{top}"{weight}>{value:,.0f}</text>'
    )
