"""How a script reaches Redis: loaded from its file, run by digest, loaded again where the server does not know it."""

from importlib import resources
from typing import Any, Final

import redis
from redis.commands.core import Script

_MOVES_MESSAGES: Final = frozenset({"fetch", "sweep", "give_back"})


def source(name: str) -> str:
    """Return the text of `<name>.lua` with what stands before it."""
    folder = resources.files("worker.ledger")
    parts = ("prelude", "messages", name) if name in _MOVES_MESSAGES else ("prelude", name)
    return "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts)


def load(client: redis.Redis, name: str) -> Script:
    """Return the script, ready to be called with keys and args.

    redis-py sends EVALSHA and, after SCRIPT FLUSH or on a new master, the text.
    """
    script: Script = client.register_script(source(name))
    return script


def text(value: Any) -> str:
    """Return an answer's element as text; an old client library may hand out bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
