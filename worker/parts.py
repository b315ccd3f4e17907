"""Parts: what a worker is made of, put together in one place."""

import time

from config.replies import Replies
from config.settings import Settings
from worker.delivery import Delivery
from worker.gateway import Gateway
from worker.ledger import Ledger
from worker.patience import Patience
from worker.redis_client import Outage, connect
from worker.upkeep import Upkeep


class Parts:
    """Everything below the Celery app. Raises SettingsError where the account is missing."""

    def __init__(self, settings: Settings, *, worker: str) -> None:
        self.settings = settings
        self.gateway = Gateway(settings)
        self.outage = Outage(settings.reconnect_grace_seconds, time.monotonic)
        self.ledger = Ledger(connect(settings), settings, self.outage)
        self.patience = Patience(settings.shutdown_grace_seconds)
        self.delivery = Delivery(
            settings=settings,
            ledger=self.ledger,
            gateway=self.gateway,
            replies=Replies(settings.reply_overrides),
            patience=self.patience,
            worker=worker,
        )
        self.upkeep = Upkeep(self.ledger, settings.upkeep_interval_seconds)

    def close(self) -> None:
        """End upkeep and close the connections."""
        self.upkeep.stop()
        self.gateway.close()
        self.ledger.client.close()
