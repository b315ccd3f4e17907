"""dramatiq with its Redis broker and the middleware that it comes with."""

import dramatiq
import post
import target
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=target.REDIS_URL))


@dramatiq.actor
def call(mobile: str) -> None:
    """Post through the thread's session."""
    post.post(mobile)


def enqueue(mobile: str) -> None:
    """Send one."""
    call.send(mobile)
