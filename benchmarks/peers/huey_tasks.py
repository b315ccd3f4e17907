"""huey with its Redis storage; nothing is returned, so nothing is stored."""

import post
import target
from huey import RedisHuey

huey = RedisHuey("bench", host="127.0.0.1", port=target.REDIS_PORT)


@huey.task()
def call(mobile: str) -> None:
    """Post through the thread's session."""
    post.post(mobile)


def enqueue(mobile: str) -> None:
    """Send one."""
    call(mobile)
