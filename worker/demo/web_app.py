"""A web app that sends codes, with stock Celery. It imports nothing of this project."""

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery


def connect(broker_url: str, sentinel_master: str = "mymaster") -> Celery:
    """Return an app whose publishing fails within seconds if Redis is away."""
    app = Celery("web", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_publish_retry=False,
        broker_transport_options={
            "socket_timeout": 2,
            "socket_connect_timeout": 1,
            "max_retries": 0,
            "interval_start": 0,
            "master_name": sentinel_master,
        },
    )
    return app


def enqueue(
    app: Celery, args: Sequence[Any], kwargs: Mapping[str, Any], *, task_id: str | None = None
) -> str:
    """Send one message and return its task id. Its headers get no copy of number and code."""
    sent = app.send_task(
        "send_voice_code",
        args=list(args),
        kwargs=dict(kwargs),
        queue="voice_codes",
        task_id=task_id,
        argsrepr="[redacted]",
        kwargsrepr="[redacted]",
    )
    return str(sent.id)
