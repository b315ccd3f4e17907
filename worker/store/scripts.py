"""Scripts: how one reaches Redis. Loaded from its file, run by digest, loaded again where the server does not know it.

A script names what it needs in lines `-- @include store/prelude`, relative to `worker/`.
"""

import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, Final, Protocol

_INCLUDE: Final = re.compile(r"^-- @include ([a-z_/]+)\n", re.MULTILINE)


def source(name: str) -> str:
    """Return the text of a script, such as `ledger/claim`, with the files that it includes before it, each once."""
    return "".join(_parts(name, set()))


def _parts(name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    text = resources.files("worker").joinpath(f"{name}.lua").read_text("utf-8")
    for included in _INCLUDE.findall(text):
        yield from _parts(included, seen)
    yield _INCLUDE.sub("", text)


class RunsScripts(Protocol):
    """redis-py's client, or a `Pipeline`: both send EVALSHA and, after SCRIPT FLUSH or on a new master, the text."""

    def register_script(self, script: str, /) -> Callable[..., Any]:
        """Return a function of `keys` and `args`."""


def load(client: RunsScripts, name: str) -> Callable[..., Any]:
    """Return the script, ready to be called with keys and args."""
    return client.register_script(source(name))


def text(value: Any) -> str:
    """Return an answer's element as text; an old client library may hand out bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
