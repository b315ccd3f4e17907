"""Consumer: Celery's own, without the steps that talk to other workers."""

from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from celery import bootsteps
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.events import Events
from celery.worker.consumer.tasks import Tasks as CeleryTasks

from config.names import Event
from worker.retry import Reason
from worker.transport.unreadable import Unreadable, cause_of, fault_of_message

log = structlog.get_logger("voicecode.consumer")


class Tasks(CeleryTasks):
    """Celery's Tasks step depends on mingle, which costs 1 s at start-up; this one does not."""

    requires = (Events,)


class Liveness(bootsteps.StartStopStep):
    """Lets the event loop show that it turns. Start it again after a lost connection."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Celery calls this at each connection."""
        parent.timer.call_repeatedly(1.0, parent.app.components.live)


class Consumer(CeleryConsumer):
    """Named in the setting `worker_consumer`."""

    class Blueprint(CeleryConsumer.Blueprint):
        """The steps that a worker needs without any others."""

        default_steps: ClassVar[list[Any]] = [
            "celery.worker.consumer.connection:Connection",
            Events,
            Tasks,
            Liveness,
            "worker.transport.remote:ControlStep",
            "celery.worker.consumer.consumer:Evloop",
        ]

    def ensure_connected(self, conn: Any) -> Any:
        """Try at least once a second: Celery's own pauses grow to half a minute."""
        ensure, live = conn.ensure_connection, self.app.components.live

        def beat_and_ensure(*args: Any, callback: Callable[[], None], **options: Any) -> Any:
            def beat() -> None:
                live()
                callback()

            return ensure(
                *args, callback=beat, interval_start=0.2, interval_step=0.2, interval_max=1, **options
            )

        live()
        conn.ensure_connection = beat_and_ensure
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Guard Celery's handler: errors do not end the worker, only the undecodable dies."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except self.connection_errors:
                raise
            except Exception as error:
                if fault_of_message(error):
                    self._bury(message, Reason.UNREADABLE, cause_of(error))
                    return
                log.exception(Event.TASK_CRASHED, alert="page", runbook="worker-bug")
                message.channel.qos.leave(message.delivery_tag)

        return on_task_received

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Bury a message that names no task."""
        del body
        self._bury(message, Reason.UNREADABLE, "it names no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Bury a message for a task that this version does not have, as during a deploy."""
        del body, exc
        self._bury(message, Reason.UNKNOWN_TASK, "a newer producer, or another application's message")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Bury a message whose parts are wrong, or whose serializer is not accepted."""
        del body
        self._bury(message, Reason.UNREADABLE, cause_of(exc))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Bury a message whose body cannot be decoded."""
        self._bury(message, Reason.UNREADABLE, cause_of(exc))

    def _bury(self, message: Any, reason: Reason, cause: str) -> None:
        unreadable: Unreadable = self.app.components.unreadable
        if unreadable.bury_message(message, reason, cause):
            message.ack_log_error(None, self.connection_errors)
        else:
            message.channel.qos.leave(message.delivery_tag)
