"""Consumer: Celery's, without the steps that talk to other workers (mingle alone costs a second at each start)."""

from typing import Any, Final

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.events import Events
from celery.worker.consumer.tasks import Tasks as CeleryTasks


class Tasks(CeleryTasks):
    """Celery's requires mingle, and would bring it back."""

    requires: Final = (Events,)


class Consumer(CeleryConsumer):
    """Named in the setting `worker_consumer`."""

    class Blueprint(CeleryConsumer.Blueprint):
        """The steps that one worker by itself needs."""

        default_steps: Final[list[Any]] = [
            "celery.worker.consumer.connection:Connection",
            Events,
            Tasks,
            "celery.worker.consumer.consumer:Evloop",
        ]
