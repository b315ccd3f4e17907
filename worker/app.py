"""Composition root: the Celery app, and the parts of a worker, built once at its start and passed on."""

import sys
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import setup_logging, worker_shutting_down

from config import logs, names, settings
from config.celeryconfig import celery_settings
from config.names import Event
from config.settings import SettingsError
from worker.parts import Parts

log = structlog.get_logger("voicecode.worker")


def load_settings() -> settings.Settings:
    """Read the settings, or end the process with every problem listed: a traceback would hide them."""
    try:
        return settings.load()
    except SettingsError as error:
        sys.exit(f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")


class DeliveryStep(bootsteps.StartStopStep):
    """Builds the parts before the pool starts, and runs upkeep as long as the worker runs."""

    requires = ("celery.worker.components:Pool",)

    def create(self, parent: Any) -> "DeliveryStep":
        """Build the parts; a worker without an account ends here, with the setting's name."""
        try:
            parent.app.parts = Parts(parent.app.settings, worker=parent.hostname)
        except SettingsError as error:
            sys.exit(f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")
        return self

    def start(self, parent: Any) -> None:
        """Celery calls this once the pool is there."""
        parts: Parts = parent.app.parts
        parts.upkeep.start()
        s = parts.settings
        log.info(
            Event.WORKER_STARTED, worker=parent.hostname, queue=names.QUEUE, concurrency=s.concurrency, gateway=s.gateway_url
        )

    def stop(self, parent: Any) -> None:
        """Celery calls this when the pool is empty."""
        parent.app.parts.close()
        log.info(Event.WORKER_STOPPED, worker=parent.hostname)

    def terminate(self, parent: Any) -> None:
        """Celery calls this in a cold shutdown."""
        self.stop(parent)


def create_app() -> Celery:
    """Build the Celery app from the environment."""
    app = Celery("voicecode", set_as_current=True)
    app.settings = load_settings()
    app.conf.update(celery_settings(app.settings))
    app.steps["worker"].add(DeliveryStep)
    return app


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    """Keep Celery's hands off the logging."""
    logs.configure(app.settings)


@worker_shutting_down.connect
def _let_outcomes_go(**_: Any) -> None:
    """Bound the wait for Redis from the first signal on: the pool waits for its threads, and they wait for Redis."""
    if hasattr(app, "parts"):
        app.parts.patience.stop()


app = create_app()
