"""RQ without a process for each job and without kept results: its fastest form."""

import post
import target
from redis import Redis
from rq import Queue

queue = Queue("bench", connection=Redis(port=target.REDIS_PORT))


def enqueue(mobile: str) -> None:
    """Send one."""
    queue.enqueue(post.post, mobile, result_ttl=0)
