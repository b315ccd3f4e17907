"""Components: what a worker is made of, put together."""

import os
import secrets
import socket
import time
from importlib.metadata import version
from typing import Any, Final

from config import health, logs, webhooks
from config.replies import Replies
from config.settings import Settings
from worker.failure_queue import FailureQueue
from worker.failure_queue.retention import INTERVAL_SECONDS as RETENTION_SECONDS
from worker.failure_queue.retention import Retention, check_spill_dir
from worker.incidents.alerts import Alerts
from worker.incidents.pager import Pager
from worker.ledger.outcome_writer import OutcomeWriter
from worker.process.affinity import CpuAffinity
from worker.process.heartbeat import Heartbeat
from worker.process.heartbeat_file import own_file
from worker.process.periodic import Periodic, turns
from worker.sending.fleet import Fleet
from worker.sending.prober import Prober
from worker.sending.state import Sender
from worker.store.availability import RedisAvailability
from worker.store.client import connect
from worker.tracing.parts import parts_of
from worker.transport import Acks, Credit, Running, Unacked, Unreadable
from worker.upkeep import Upkeep

_PAGES_TIMEOUT_SECONDS: Final = 1.0
"""A log line waits for it, once an incident."""


class Components:
    """Everything below the Celery app. Raises SettingsError for settings that cannot be used."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self.settings = settings
        self.instance = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._parts = parts_of(settings, instance=self.instance)
        self.gateway = self._parts.gateway(settings)
        self.availability = RedisAvailability(settings.reconnect_grace_seconds, time.monotonic)
        self.client = connect(settings)
        self.availability.reconnect = lambda: self.client.connection_pool.disconnect(inuse_connections=False)
        self.outcome_writer = OutcomeWriter(settings.shutdown_grace_seconds)
        self.credit = Credit()
        self.running = Running()
        self.fleet = Fleet(
            self.client,
            settings,
            self.availability,
            self.credit,
            instance=self.instance,
            host=settings.host_name or socket.gethostname(),
            facts={"worker": worker, "version": version("voicecode"), "slots": settings.concurrency},
            in_flight=lambda: len(self.running.tasks()),
        )
        sender = self.fleet.sender if settings.stop_sending else Sender
        self.ledger = self._parts.ledger(self.client, settings, self.availability, sender=sender)
        report_seconds = min(1.0, settings.upkeep_interval_seconds)
        self.reporter = Periodic("reporter", self.fleet.report_or_wait, report_seconds)
        self.prober = Prober(self.fleet, self.gateway, self.client, settings, self.availability)
        unacked = Unacked(self.client, settings, self.availability, self.instance)
        self.acks = Acks(unacked)
        self.credit.give_back = self.acks.give_back
        self.unreadable = Unreadable(self.ledger, self.acks)
        self.affinity = CpuAffinity()
        file = own_file(settings.heartbeat_file, worker)
        self.heartbeat = Heartbeat(file, when=lambda: not self.availability.away)
        self.delivery = self._parts.delivery(
            settings=settings,
            ledger=self.ledger,
            gateway=self.gateway,
            replies=Replies(settings.reply_overrides),
            outcome_writer=self.outcome_writer,
            worker=worker,
            fleet=self.fleet if settings.stop_sending else None,
        )
        check_spill_dir(settings)
        retention = Retention(FailureQueue(self.client, settings, operator=f"upkeep@{worker}"))
        # A thread of its own: a spill directory may hang, and retries must not.
        self.retention = Periodic("retention", retention.look, RETENTION_SECONDS)
        interval = settings.upkeep_interval_seconds
        self.upkeep = Upkeep(
            self.ledger, unacked, interval, batch=settings.upkeep_batch, retention=self.retention
        )
        self.fleet.wake = self.upkeep.hurry
        self._pages_client = connect(settings, retries=0, socket_timeout=_PAGES_TIMEOUT_SECONDS)
        self.alerts = Alerts(
            webhooks.read(settings.alert_webhook.get_secret_value()) if settings.alert_webhook else (),
            console_url=settings.console_url,
        )
        self.pager = Pager(self._pages_client, settings.incident_quiet_seconds, then=self.alerts.note)
        self.live = Heartbeat(health.live_file(file), when=self._threads_turn)

    def _threads_turn(self) -> bool:
        """Return whether the threads that a worker cannot do without still do their rounds."""
        return all(turns(thread, health.STALLED_SECONDS) for thread in (self.upkeep, self.acks))

    def transport_options(self) -> dict[str, Any]:
        """Return the `broker_transport_options` for `worker/transport/channel.py`."""
        return {
            "acks": self.acks,
            "digests": self.ledger.digests,
            "credit": self.credit,
            "heartbeat": self.heartbeat,
            "on_unreadable": self.unreadable.bury_item,
            "instance": self.instance,
        }

    def beat_while_paused(self) -> None:
        """Keep the heartbeat: a worker that fetches nothing while others send is healthy."""
        if self.credit.paused:
            self.heartbeat()

    def start(self) -> None:
        """Start the threads."""
        logs.judge_pages(self.pager)
        self.alerts.start()
        self.pager.thread.start()
        self.acks.start()
        self.upkeep.start()
        self.retention.start()
        if self.settings.stop_sending:
            # Before the first code: a worker that nobody has heard of does not count as able.
            self.fleet.report_or_wait()
            self.reporter.start()
            self.prober.start()
        if self.settings.keep_to_one_core:
            self.affinity.start()

    def close(self) -> None:
        """Send the last acks, end the threads and close the connections."""
        self.affinity.stop()
        if self.settings.stop_sending:
            self.prober.stop(1)
            self.reporter.stop(3)
            self.fleet.leave()
        self.upkeep.stop(self.settings.upkeep_interval_seconds + 6)
        self.retention.stop(1)
        self.acks.stop()
        self.pager.thread.stop(1)
        logs.judge_pages(None)
        self.alerts.stop(2)
        self._pages_client.close()
        self.gateway.close()
        self._parts.close()
        self.client.close()
