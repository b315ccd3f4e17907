"""docs/settings.md, made from the settings' own descriptions: `python -m config.page > docs/settings.md`."""

import json
import sys
import types
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.checks import PREFIX
from config.settings import Settings

_INTRO: Final = f"""\
# Settings

Made from `config/settings.py` by `python -m config.page`; a test compares the two. All are optional save `{PREFIX}ACCOUNT` and `{PREFIX}APIKEY`,
without which a worker does not start.

Where a value is looked for, first hit wins: the environment; the file `.env` in the folder in which the worker starts; a file in the folder named by `{PREFIX}SECRETS_DIR`
(one file a setting, its name in lower case with the prefix: `voicecode_apikey`). A worker checks everything at its start, lists every problem at once, and ends.
`./run voicecode settings` shows what is in force, without secrets.

Durations are seconds, fractions allowed; switches take `true` and `false`.
"""
_TYPES: Final = {
    bool: "switch",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text, secret",
    dict: "JSON",
}
_MORE: Final = f"""
One more is read from the environment only, because it is needed before any setting is: `{PREFIX}SECRETS_DIR`, the folder with files of secrets, see above.

## What must fit together

A worker refuses to start where these do not hold:

- connect time-out < attempt deadline; read time-out <= attempt deadline;
- attempt deadline < lease < visibility time-out: else a call is taken for dead, or its message comes back, while it runs;
- code life <= longest life;
- the record of an accepted code lives for at least a code's life + 10 visibility time-outs: else a late duplicate would be called again;
- an `http://` gateway address only with the dynamic password.
"""


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return _type(next(part for part in get_args(annotation) if part is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    return _TYPES[origin or annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool | dict):
        return f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"  # noqa: PLR2004 - :g would round


def page() -> str:
    """Return the whole of docs/settings.md."""
    lines = [_INTRO, "| variable | type | default | what it does |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        text = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {_type(field.annotation)} | {_default(field)} | {text} |")
    return "\n".join(lines) + "\n" + _MORE


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())
