"""The client for web apps, in the environment of stock Celery: both use the same redis-py."""

import sys
from pathlib import Path

import target

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "python"))

from voicecode_client import Client, Sent

client = Client(target.REDIS_URL)


def enqueue(mobile: str) -> None:
    """Send one as docs/producing.md shows it."""
    answer = client.send(mobile, "123456", key="bench:" + mobile[3:], expires_in=60, purpose="login")
    if not isinstance(answer, Sent):
        raise TypeError(answer)
