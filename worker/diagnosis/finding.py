"""Finding: what one check found, and what to do about it."""

import dataclasses
import enum


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """It works, but it will hurt on some night."""
    FAIL = "fail"
    """Codes are lost, stuck or not called because of it, or soon will be."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer of one check. `cure`: what to do; empty if nothing is wrong."""

    check: str
    level: Level
    text: str
    cure: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return dataclasses.asdict(self)


def ok(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, level=Level.OK, text=text)


def warn(check: str, text: str, cure: str) -> Finding:
    """Return what will hurt on some night."""
    return Finding(check=check, level=Level.WARN, text=text, cure=cure)


def fail(check: str, text: str, cure: str) -> Finding:
    """Return what has to be mended now."""
    return Finding(check=check, level=Level.FAIL, text=text, cure=cure)
