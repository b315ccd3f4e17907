"""The fetch script by itself, as the transport runs it."""

from typing import Any

import redis

from config import names
from worker.message import RAW_CAP_BYTES
from worker.store import keys
from worker.store.scripts import Script


def fetch(
    client: redis.Redis, room: int, token: str, *, repeated: bool = False, clock_offset: float = 0
) -> list[Any]:
    """Fetch up to `room` messages and return the script's answer: tag, message, tag, message ...

    `repeated`: the token may have been executed before. `clock_offset`: seconds added to the
    server's clock.
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
    )
    return answer
