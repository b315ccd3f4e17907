"""Celery's own settings, derived from ours, so `celery -A worker worker` needs no flags."""

from typing import Any, Final

from config import names, redis_access
from config.settings import Settings

BROKER_HEALTH_CHECK_SECONDS: Final = 1
"""With 1 a frozen broker is noticed after 2 to 3 s, with 2 after 3 to 5 s, with 5 after 8 to 10 s.

kombu's default of 25 took 46 s.
"""

_SENTINEL_LIMITS: Final = {"socket_timeout": 1, "socket_connect_timeout": 2, "socket_keepalive": True}
PUBLISH_OPTIONS: Final = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "max_retries": 0,
    "interval_start": 0,
}
"""A producer's `broker_transport_options`.

A publish then fails at once if Redis is down, and after 2 s if it is frozen.
"""


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return what `app.conf.update` takes."""
    return {
        "broker_url": redis_access.broker_url(settings),
        "broker_use_ssl": redis_access.tls_options(settings) or None,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A READONLY reply from a demoted master otherwise ends the worker.
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "health_check_interval": BROKER_HEALTH_CHECK_SECONDS,
            "socket_connect_timeout": 2,
            # The event loop waits for answers by itself. This time-out bounds each handshake with a
            # frozen master, until Sentinel names another one.
            "socket_timeout": 1,
            "socket_keepalive": True,
            "master_name": settings.sentinel_master,
            "sentinel_kwargs": {**_SENTINEL_LIMITS, **redis_access.sentinel_options(settings)},
        },
        "imports": ["tasks.voice"],
        "task_default_queue": names.QUEUE,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_pool": "threads",
        "worker_concurrency": settings.concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_consumer": "worker.transport.consumer:Consumer",
        "worker_enable_remote_control": settings.remote_control,
        "worker_send_task_events": False,
        "worker_disable_rate_limits": True,
        # Our QoS counts credit across connections by itself.
        "worker_enable_prefetch_count_reduction": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
    }
