"""View: templates, in which every value is escaped, and foreign text cannot move anything."""

import datetime as dt
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from config.masking import mask_id, mask_mobile, mask_text, spell_out_controls
from worker.console.telling import times
from worker.console.telling.words import Words

_LONGEST: Final = 300


def environment() -> jinja2.Environment:
    """Return the templates of the package."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("worker.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(masked=mask_mobile, told=told, id=mask_id, n=_number, q=_quoted)
    return made


def told(text: str) -> str:
    """Return foreign text: numbers masked, not longer than a few lines."""
    shown = mask_text(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def time_of(epoch_seconds: float | None, zone: dt.tzinfo, words: Words, now: float) -> Markup:
    """Return a time as HTML: in the zone, with UTC on hover; how long ago it was, too."""
    if epoch_seconds is None:
        return Markup("")
    utc, shown = times.utc(epoch_seconds), times.moment(epoch_seconds, zone)
    ago = now - epoch_seconds
    distance = words("time.ago" if ago >= 0 else "time.in", duration=words.duration(abs(ago)))
    return Markup('<time datetime="{}" title="{} · {}">{}</time>').format(utc, utc, distance, shown)


def _number(value: float) -> str:
    return f"{value:,}"


def _quoted(text: str) -> str:
    """Return a key as one part of a path."""
    return quote(text, safe="")


def _plain(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return spell_out_controls(value, keep="\n")
    return "" if value is None else value
