"""How a script reaches Redis: loaded from its file, run by digest, loaded again where the server does not know it."""

from collections.abc import Callable
from importlib import resources
from typing import Any, Final, Protocol

_MOVES_MESSAGES: Final = frozenset({"fetch", "sweep", "give_back"})


def source(name: str) -> str:
    """Return the text of `<name>.lua` with what stands before it."""
    folder = resources.files("worker.ledger")
    parts = ("prelude", "messages", name) if name in _MOVES_MESSAGES else ("prelude", name)
    return "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts)


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
