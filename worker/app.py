"""Composition root: the Celery app and the components of a worker, built once when it starts."""

import sys
from typing import Any, NoReturn

import structlog
from celery import Celery, bootsteps
from celery.signals import celeryd_init, setup_logging, worker_shutdown, worker_shutting_down

from config import logs, names, settings
from config.celeryconfig import celery_settings
from config.names import Event
from config.redis_access import broker_url
from config.settings import Settings, SettingsError
from worker import transport
from worker.components import Components
from worker.process import celery_commands, refusals
from worker.store.server_check import ServerCheck

log = structlog.get_logger("voicecode.worker")


class VoiceCodeApp(Celery):
    """The Celery app with our settings and components."""

    control_cls = "worker.transport.remote:RemoteControl"
    settings: Settings
    components: Components
    """Set only in a worker process, when it starts."""


class DeliveryStep(bootsteps.StartStopStep):
    """Builds the components before Celery connects, and starts their threads with the pool."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        app: VoiceCodeApp = parent.app
        if sentence := refusals.refusal(_asked(parent, beat=bool(kwargs.get("beat")))):
            _refuse(sentence)
        # `-c` and `--concurrency` beat the setting.
        app.settings = app.settings.model_copy(update={"concurrency": parent.concurrency})
        try:
            app.components = Components(app.settings, worker=parent.hostname)
        except SettingsError as error:
            _refuse_to_start(error)
        self._server_check = ServerCheck(app.components.client)
        if sentence := self._server_check.look():
            _refuse(sentence)
        app.conf.broker_transport_options = {
            **app.conf.broker_transport_options,
            **app.components.transport_options(),
        }

    def start(self, parent: Any) -> None:
        """Start the components' threads. Celery calls this when the pool is ready."""
        components: Components = parent.app.components
        try:
            transport.start_threads(parent.pool.executor, parent.pool.limit)
        except RuntimeError as error:
            _refuse(refusals.NO_THREADS.format(count=parent.pool.limit, cause=error))
        components.start()
        parent.timer.call_repeatedly(1, components.beat_while_paused)
        if not self._server_check.done:
            self._server_check.start()
        s = components.settings
        facts = {"concurrency": s.concurrency, "gateway": s.gateway_url}
        log.info(Event.WORKER_STARTED, worker=parent.hostname, queue=names.QUEUE, **facts)


def _asked(parent: Any, *, beat: bool) -> refusals.Asked:
    """Return what Celery's worker was asked for."""
    app: VoiceCodeApp = parent.app
    ledger_url = app.settings.broker_url.get_secret_value()
    broker_urls = {app.conf.broker_read_url, app.conf.broker_write_url} - {broker_url(app.settings)}
    return refusals.Asked(
        pool=parent.pool_cls.__module__,
        queues=frozenset(app.amqp.queues.consume_from),
        autoscale=bool(parent.autoscale),
        purge=bool(parent.purge),
        beat=beat,
        tasks=frozenset(app.tasks),
        broker_urls=frozenset(broker_urls),
        ledger_url=ledger_url,
    )


def _refuse(sentence: str) -> NoReturn:
    """End the process with a sentence. A log file gets it, too: a detached worker has no stderr."""
    if logs.in_file():
        log.critical(Event.WORKER_REFUSED, cause=sentence, alert="page")
    sys.exit(sentence)


def _refuse_to_start(error: SettingsError) -> NoReturn:
    """End the process with a list of all problems: a traceback would hide them."""
    sys.exit(f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")


def create_app() -> VoiceCodeApp:
    """Build the Celery app from the environment."""
    if sentence := celery_commands.refusal():
        sys.exit(sentence)
    app = VoiceCodeApp("voicecode", set_as_current=True)
    try:
        app.settings = settings.load()
    except SettingsError as error:
        _refuse_to_start(error)
    app.conf.update(celery_settings(app.settings))
    app.steps["worker"].add(DeliveryStep)
    transport.install()
    return app


@celeryd_init.connect
def _refuse_other_apps(instance: Any, **_: Any) -> None:
    """Refuse another app's worker that imports this one: it would use only our transport."""
    if instance.app is not app:
        sys.exit(refusals.OTHER_APP.format(app=instance.app.main or "Your app"))


@setup_logging.connect
def _configure_logs(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Configure logging ourselves: with this signal connected, Celery does not."""
    try:
        logs.configure(app.settings, level=refusals.asked_level(loglevel), file=logfile)
    except OSError as error:
        sys.exit(f"The log file {logfile} cannot be written: {error.strerror}")


@worker_shutting_down.connect
def _let_outcomes_go(**_: Any) -> None:
    """Bound the wait for Redis: at shutdown the pool waits for its threads, and they for Redis."""
    if hasattr(app, "components"):
        app.components.outcome_writer.stop()


@worker_shutdown.connect
def _close(sender: Any, **_: Any) -> None:
    """Close the components once the pool is empty."""
    app.components.close()
    log.info(Event.WORKER_STOPPED, worker=sender.hostname)


app = create_app()
