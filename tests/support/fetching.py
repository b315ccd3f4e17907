"""The fetch script by itself, as the transport runs it."""

from typing import Any

import redis

from config import names
from worker.message import RAW_CAP_BYTES
from worker.store import keys
from worker.store.scripts import Script


def fetch(client: redis.Redis, room: int, token: str, **more: Any) -> list[Any]:
    """Fetch up to `room` messages and return tag, message, tag, message ...

    `more`: like `answer_of`.
    """
    return answer_of(client, room, token, **more)[1:]


def answer_of(  # noqa: PLR0913 - what a fetch is told
    client: redis.Redis,
    room: int,
    token: str,
    *,
    repeated: bool = False,
    reserve: int = 0,
    clock_offset: float = 0,
) -> list[Any]:
    """Fetch likewise, and return the script's whole answer: whether hints wait, then the pairs.

    `repeated`: the token may have been executed before. `reserve`: how much of the room hints leave
    free. `clock_offset`: seconds added to the server's clock.
    """
    answer: list[Any] = Script(client, "transport/fetch")(
        keys.FETCH,
        clock_offset=clock_offset,
        version=names.RECORD_VERSION,
        prefix=names.RECORD_PREFIX,
        room=room,
        token=token,
        repeated="1" if repeated else "0",
        raw_cap=RAW_CAP_BYTES,
        salt="salt",
        reserve=reserve,
    )
    return answer
