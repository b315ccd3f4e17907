"""The usual Celery task, unchanged. Ours is enqueued under the same name, `send_voice_code`."""

import time

import post
import target
from celery import Celery

app = Celery("peer", broker=target.REDIS_URL)


@app.task(name="bench.once")
def once(mobile: str) -> None:
    """Post without a session."""
    post.post_once(mobile)


@app.task(name="bench.session")
def session(mobile: str) -> None:
    """Post through the thread's session."""
    post.post(mobile)


def enqueue(mobile: str) -> None:
    """Send one to plain Celery."""
    once.delay(mobile)


def enqueue_session(mobile: str) -> None:
    """Send one to Celery with threads."""
    session.delay(mobile)


def enqueue_ours(mobile: str) -> None:
    """Send one to ours, as docs/producing.md shows it."""
    app.send_task(
        "send_voice_code",
        args=[mobile, "123456"],
        kwargs={"key": "bench:" + mobile[3:], "expires_at": int(time.time()) + 3000},
        queue="voice_codes",
    )
