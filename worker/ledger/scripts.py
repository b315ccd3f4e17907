"""How a script reaches Redis: loaded from its file, run by digest, loaded again where the server does not know it."""

from importlib import resources
from typing import Any

import redis
from redis.commands.core import Script


def load(client: redis.Redis, name: str) -> Script:
    """Return `<name>.lua` with the prelude before it, ready to be called with keys and args.

    redis-py sends EVALSHA and, after SCRIPT FLUSH or on a new master, the text.
    """
    folder = resources.files("worker.ledger")
    text = "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("prelude", name))
    script: Script = client.register_script(text)
    return script


def text(value: Any) -> str:
    """Return an answer's element as text; an old client library may hand out bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
