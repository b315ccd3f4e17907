"""Components: what a worker is made of, put together."""

import os
import secrets
import socket
import time
from typing import Any

from config import health
from config.replies import Replies
from config.settings import Settings
from worker.delivery import Delivery
from worker.failure_queue import FailureQueue
from worker.failure_queue.retention import INTERVAL_SECONDS as RETENTION_SECONDS
from worker.failure_queue.retention import Retention, check_spill_dir
from worker.gateway.client import Gateway
from worker.ledger import Ledger
from worker.ledger.outcome_writer import OutcomeWriter
from worker.process.affinity import CpuAffinity
from worker.process.heartbeat import Heartbeat
from worker.process.periodic import Periodic
from worker.store.availability import RedisAvailability
from worker.store.client import connect
from worker.transport import Acks, Credit, Unacked, Unreadable
from worker.upkeep import Upkeep


class Components:
    """Everything below the Celery app. Raises SettingsError for settings that cannot be used."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self.settings = settings
        self.gateway = Gateway(settings)
        self.availability = RedisAvailability(settings.reconnect_grace_seconds, time.monotonic)
        self.client = connect(settings)
        self.availability.reconnect = lambda: self.client.connection_pool.disconnect(inuse_connections=False)
        self.ledger = Ledger(self.client, settings, self.availability)
        self.outcome_writer = OutcomeWriter(settings.shutdown_grace_seconds)
        self.instance = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        unacked = Unacked(self.client, settings, self.availability, self.instance)
        self.acks = Acks(unacked)
        self.credit = Credit()
        self.unreadable = Unreadable(self.ledger, self.acks)
        self.affinity = CpuAffinity()
        self.heartbeat = Heartbeat(settings.heartbeat_file, when=lambda: not self.availability.away)
        self.delivery = Delivery(
            settings=settings,
            ledger=self.ledger,
            gateway=self.gateway,
            replies=Replies(settings.reply_overrides),
            outcome_writer=self.outcome_writer,
            worker=worker,
        )
        check_spill_dir(settings)
        retention = Retention(FailureQueue(self.client, settings, operator=f"upkeep@{worker}"))
        # A thread of its own: a spill directory may hang, and retries must not.
        self.retention = Periodic("retention", retention.look, RETENTION_SECONDS)
        interval = settings.upkeep_interval_seconds
        self.upkeep = Upkeep(self.ledger, unacked, interval, retention=self.retention)
        self.live = Heartbeat(health.live_file(settings.heartbeat_file), when=self._threads_turn)

    def _threads_turn(self) -> bool:
        """Return whether the threads without which a worker is dead still do their rounds."""
        limit = health.STALLED_SECONDS
        threads_live = self.upkeep.is_alive() and self.acks.is_alive()
        return threads_live and max(self.upkeep.busy_seconds(), self.acks.busy_seconds()) < limit

    def transport_options(self) -> dict[str, Any]:
        """Return the `broker_transport_options` for `worker/transport/channel.py`."""
        return {
            "acks": self.acks,
            "credit": self.credit,
            "heartbeat": self.heartbeat,
            "on_unreadable": self.unreadable.bury_item,
            "instance": self.instance,
        }

    def start(self) -> None:
        """Start the threads."""
        self.acks.start()
        self.upkeep.start()
        self.retention.start()
        if self.settings.keep_to_one_core:
            self.affinity.start()

    def close(self) -> None:
        """Send the last acks, end the threads and close the connections."""
        self.affinity.stop()
        self.upkeep.stop(self.settings.upkeep_interval_seconds + 6)
        self.retention.stop(1)
        self.acks.stop()
        self.gateway.close()
        self.client.close()
