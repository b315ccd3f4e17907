"""Page: docs/settings.md, from the settings' own descriptions.

`python -m config.page > docs/settings.md`
"""

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

`python -m config.page` makes this page from `config/settings.py`; a test compares the two.
A worker needs `{PREFIX}ACCOUNT` and `{PREFIX}APIKEY`; all other settings are optional.

A value is taken from the first of these places that has it:

1. the environment;
2. the file `.env` in the folder in which the worker starts;
3. a file in the folder that `{PREFIX}SECRETS_DIR` names: one file for each setting, named in lower
   case with the prefix, such as `voicecode_apikey`.

A worker checks all settings when it starts. It lists every problem at once, and ends.
`./run voicecode settings` shows the settings in force, without secrets.

Durations are in seconds, fractions allowed. Switches take `true` and `false`.
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
`{PREFIX}SECRETS_DIR`, the folder with files of secrets (see above), is read from the environment
only: it is needed before any setting.

## What must fit together

A worker refuses to start unless these hold:

- connect time-out < attempt deadline; read time-out <= attempt deadline;
- attempt deadline < lease < visibility time-out: otherwise a worker counts as dead, or its message
  returns to the queue, while it still calls;
- the greatest age of a heartbeat is at least 3 s above the attempt deadline: a healthy worker with
  every slot taken fetches nothing for that long;
- code life <= longest life;
- the record of an accepted code lives for at least a code's life + 10 visibility time-outs:
  otherwise a late duplicate would be called again;
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
