"""Composition root: the Celery app, and the components of a worker, built once at its start and passed on."""

import sys
from typing import Any, NoReturn

import structlog
from celery import Celery, bootsteps
from celery.signals import setup_logging, worker_shutdown, worker_shutting_down

from config import logs, names, settings
from config.celeryconfig import celery_settings
from config.names import Event
from config.settings import Settings, SettingsError
from worker import transport
from worker.components import Components

log = structlog.get_logger("voicecode.worker")


class VoiceCodeApp(Celery):
    """The Celery app with what belongs to it."""

    settings: Settings
    components: Components
    """Only in a worker process, from its start on."""


class DeliveryStep(bootsteps.StartStopStep):
    """Builds the components before Celery connects, and starts their threads with the pool."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        app: VoiceCodeApp = parent.app
        if parent.pool_cls.__module__ != "celery.concurrency.thread":
            sys.exit(
                "Only the threads pool places calls: leave -P and --pool away (the components of a worker are shared by its threads)."
            )
        try:
            app.components = Components(app.settings, worker=parent.hostname)
        except SettingsError as error:
            _refuse_to_start(error)
        app.conf.broker_transport_options = {
            **app.conf.broker_transport_options,
            **app.components.transport_options(),
        }

    def start(self, parent: Any) -> None:
        """Celery calls this once the pool is there."""
        components: Components = parent.app.components
        components.start()
        s = components.settings
        facts = {"concurrency": s.concurrency, "gateway": s.gateway_url}
        log.info(Event.WORKER_STARTED, worker=parent.hostname, queue=names.QUEUE, **facts)


def _refuse_to_start(error: SettingsError) -> NoReturn:
    """End the process with every problem listed: a traceback would hide them."""
    sys.exit(f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")


def create_app() -> VoiceCodeApp:
    """Build the Celery app from the environment."""
    app = VoiceCodeApp("voicecode", set_as_current=True)
    try:
        app.settings = settings.load()
    except SettingsError as error:
        _refuse_to_start(error)
    app.conf.update(celery_settings(app.settings))
    app.steps["worker"].add(DeliveryStep)
    transport.install()
    return app


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    """Keep Celery's hands off the logging."""
    logs.configure(app.settings)


@worker_shutting_down.connect
def _let_outcomes_go(**_: Any) -> None:
    """Bound the wait for Redis from the first signal on: the pool waits for its threads, and they wait for Redis."""
    if hasattr(app, "components"):
        app.components.outcome_writer.stop()


@worker_shutdown.connect
def _close(sender: Any, **_: Any) -> None:
    """Close the components when the pool is empty."""
    app.components.close()
    log.info(Event.WORKER_STOPPED, worker=sender.hostname)


app = create_app()
