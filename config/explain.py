"""Explain: every setting with its value and its source, even if some of them are wrong."""

import dataclasses
import os
import re
from typing import Any, Final

from pydantic import SecretStr

from config.checks import PREFIX
from config.masking import REDACTED
from config.settings import Settings, SettingsError, load

ELSEWHERE: Final = ("SECRETS_DIR", "HEARTBEAT_MAX_AGE_SECONDS")
"""Variables that are read before the settings, or without them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One setting as it may be shown."""

    variable: str
    value: Any
    source: str
    """`default`, `set`, or `wrong`."""
    description: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """All settings. `problems`: sentences with their variables; none if a worker would start."""

    settings: tuple[Explanation, ...]
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "settings": {s.variable: dataclasses.asdict(s) for s in self.settings},
            "problems": list(self.problems),
        }


def explain() -> Explained:
    """Read the settings as a worker would. Hides secrets, and never raises SettingsError."""
    problems = [f"{name}: there is no such setting" for name in _unknown()]
    try:
        found: Settings | None = load()
    except SettingsError as error:
        found = None
        problems = [*str(error).splitlines(), *problems]
    if found is not None:
        try:
            found.require_gateway()
        except SettingsError as error:
            problems = [*str(error).splitlines(), *problems]
    return Explained(
        settings=tuple(_line(name, found, problems) for name in Settings.model_fields),
        problems=tuple(problems),
    )


def _unknown() -> list[str]:
    known = {PREFIX + name.upper() for name in (*Settings.model_fields, *ELSEWHERE)}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _line(name: str, found: Settings | None, problems: list[str]) -> Explanation:
    field, variable = Settings.model_fields[name], PREFIX + name.upper()
    wrong = any(problem.startswith((variable + ":", variable + " ")) for problem in problems)
    # If the settings cannot be used as a whole, show what the environment says.
    value = (
        getattr(found, name)
        if found is not None
        else os.environ.get(variable, field.get_default(call_default_factory=True))
    )
    given = name in found.model_fields_set if found is not None else variable in os.environ
    return Explanation(
        variable=variable,
        value=_shown(value, secret="Secret" in str(field.annotation)),
        source="wrong" if wrong else "set" if given else "default",
        description=field.description or "",
    )


def _shown(value: Any, *, secret: bool) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if secret and isinstance(text, str) and "://" in text:
        return re.sub(r"(//[^/@]*?:)[^/]*@", rf"\1{REDACTED}@", text)
    if value is not None and (secret or isinstance(value, SecretStr)):
        return REDACTED
    return value if value is None or isinstance(value, bool | int | float | str | dict) else str(value)
