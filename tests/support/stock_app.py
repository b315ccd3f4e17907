"""A stock Celery worker on our queue, with nothing of ours.

`celery -A tests.support.stock_app worker`.

It notes what it is given in the Redis list SEEN, as `[mobile, code, named arguments]`.
"""

import json
import os
import sys
from typing import Any, Final

import redis
from celery import Celery
from celery.signals import worker_ready

from config.names import QUEUE, SEND_TASK, Event

SEEN: Final = "tests:seen"

app = Celery("stock", broker=os.environ.get("VOICECODE_BROKER_URL", "memory://"))
app.conf.update(task_default_queue=QUEUE, worker_enable_remote_control=False)


@app.task(name=SEND_TASK)
def note(mobile: str, code: str, **named: Any) -> None:
    """Write down what arrived."""
    with redis.Redis.from_url(os.environ["VOICECODE_BROKER_URL"]) as client:
        client.rpush(SEEN, json.dumps([mobile, code, named]))


@worker_ready.connect
def _ready(**_: Any) -> None:
    """Say what the tests wait for."""
    sys.stderr.write(f"{Event.WORKER_STARTED}\n")
