"""Exporter: serves `/metrics`. One process serves any number of workers."""

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIServer

import redis
import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.names import Event
from config.replies import Replies
from config.settings import Settings
from worker.metrics.families import families, up
from worker.metrics.snapshot import Source
from worker.store.client import connect

log = structlog.get_logger("voicecode.exporter")


class LedgerCollector(Collector):
    """Reads Redis at each scrape. While it is away, `voicecode_redis_up` is 0 and stands alone."""

    def __init__(self, source: Source, replies: Replies) -> None:
        self._source = source
        self._rows = replies.rows
        self._lock = threading.Lock()
        self._away = False

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        with self._lock:
            try:
                snapshot = self._source.read()
            except redis.RedisError as error:
                if not self._away:
                    log.warning(Event.METRICS_FAILED, cause=str(error), alert="warn", runbook="redis-away")
                self._away = True
                yield up(answered=False)
                return
            self._away = False
        yield up(answered=True)
        yield from families(snapshot, self._rows)

    def describe(self) -> list[Any]:
        """Return nothing: registering it must not ask Redis."""
        return []


def serve(settings: Settings, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
    """Serve in a thread, and return server and thread. Raises OSError if the port is taken."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(Source(connect(settings), settings), Replies(settings.reply_overrides)))
    return start_http_server(port, host, registry)
