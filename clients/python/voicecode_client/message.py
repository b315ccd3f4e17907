"""The message: Celery's format, version 2, as it lies on the queue. Celery is not needed."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from voicecode_client.trace import trace_headers

QUEUE: Final = "voice_codes"
SEND_TASK: Final = "send_voice_code"
CANCEL_TASK: Final = "cancel_voice_code"
Seal = Callable[[str, str, str], str]
"""Takes number, code and key, and returns the argument `sealed`, which replaces the first two."""
_EMBED: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_REDACTED: Final = {"argsrepr": "[redacted]", "kwargsrepr": "[redacted]"}
_KIND: Final = {"content-encoding": "utf-8", "content-type": "application/json"}
_DELIVERY: Final = {
    "reply_to": "",
    "delivery_mode": 2,
    "delivery_info": {"exchange": "", "routing_key": QUEUE},
    "priority": 0,
    "body_encoding": "base64",
}


def write(
    task: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, task_id: str, tag: str | None = None
) -> str:
    """Return a message for the queue. Only its body holds the arguments.

    With OpenTelemetry, its headers name the current span.
    `tag`: the delivery tag, new for each message; None makes one.
    """
    body = base64.b64encode(json.dumps([args, kwargs, _EMBED], separators=(",", ":")).encode()).decode()
    headers = {
        "lang": "py",
        "task": task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
    }
    parts = {
        "body": body,
        "headers": {**headers, **_REDACTED, **trace_headers()},
        "properties": {"correlation_id": task_id, "delivery_tag": tag or str(uuid.uuid4()), **_DELIVERY},
    }
    return json.dumps({**_KIND, **parts}, separators=(",", ":"))
