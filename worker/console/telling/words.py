"""Words: the console's texts in one language."""

from collections.abc import Sequence
from typing import Final

from config.replies import Row
from worker.console.telling.texts import TEXTS

LANGUAGES: Final = {"en": "English", "zh": "中文"}
_TAGS: Final = {"en": "en", "zh": "zh-CN"}
_COLUMN: Final = {"en": 0, "zh": 1}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class Words:
    """One language of the table of texts."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.tag = _TAGS[language]
        self._column = _COLUMN[language]

    def __call__(self, name: str, **values: object) -> str:
        """Return a text. Numbers among the values get their commas. Raises KeyError."""
        text = TEXTS[name][self._column]
        shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in values.items()}
        return text.format(**shown) if shown else text

    def of(self, group: str, name: str) -> str:
        """Return the text of one member of a group, or its own name where the table has none."""
        found = TEXTS.get(f"{group}.{name}")
        return found[self._column] if found else name

    def row(self, row: Row) -> str:
        """Return what a reply or a symptom means: in Chinese, the gateway's own text of a code."""
        if self.language == "zh":
            return self.of("row", row.name) if f"row.{row.name}" in TEXTS else row.message or row.meaning
        return row.meaning

    def duration(self, seconds: float) -> str:
        """Return seconds as people read them."""
        if seconds < 10:  # noqa: PLR2004 - below, a tenth matters
            return self("duration.seconds", count=f"{seconds:.1f}")
        if seconds < 2 * _MINUTE:
            return self("duration.seconds", count=f"{seconds:.0f}")
        if seconds < 2 * _HOUR:
            return self("duration.minutes", count=f"{seconds / _MINUTE:.0f}")
        if seconds < 2 * _DAY:
            return self("duration.hours", count=f"{seconds / _HOUR:.1f}")
        return self("duration.days", count=f"{seconds / _DAY:.1f}")


ALL: Final = {language: Words(language) for language in LANGUAGES}


def choose(cookie: str, accepted: str) -> Words:
    """Return the language of the cookie, else the first of the browser's that we speak."""
    if cookie in ALL:
        return ALL[cookie]
    for tag in _by_weight(accepted):
        if (language := tag.partition("-")[0].lower()) in ALL:
            return ALL[language]
    return ALL["en"]


def _by_weight(accepted: str) -> Sequence[str]:
    weighted = []
    for part in accepted[:200].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]
