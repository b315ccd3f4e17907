"""A message as stock Celery leaves it in Redis.

It is written without Celery: filling a queue with thousands takes no time.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable

from benchmarks.field import OURS, Contestant

Seal = Callable[[str, str, str], str]
"""Takes number, code and key; returns the sealed pair."""


def kombu_message(contestant: Contestant, number: int, seal: Seal | None = None) -> str:
    """Return a message as stock Celery writes it."""
    mobile, task_id = f"138{number:08d}", str(uuid.uuid4())
    ours = contestant.name == OURS
    args = [mobile, "123456"] if ours else [mobile]
    kwargs: dict[str, str | int] = (
        {"key": f"bench:{number:08d}", "expires_at": int(time.time()) + 3000} if ours else {}
    )
    if seal:
        args, kwargs = [], {**kwargs, "sealed": seal(mobile, "123456", str(kwargs["key"]))}
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {
        "lang": "py",
        "task": contestant.kombu_task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
    }
    plan = {
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "shadow": None,
        "ignore_result": False,
    }
    shown = {
        "argsrepr": repr(tuple(args)),
        "kwargsrepr": repr(kwargs),
        "origin": "gen1@bench",
        "replaced_task_nesting": 0,
    }
    delivery = {
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": contestant.queue},
        "priority": 0,
    }
    properties = {
        "correlation_id": task_id,
        "reply_to": str(uuid.uuid4()),
        "body_encoding": "base64",
        **delivery,
    }
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**headers, **plan, **shown, "stamped_headers": None, "stamps": {}},
        "properties": {**properties, "delivery_tag": str(uuid.uuid4())},
    }
    return json.dumps(message)
