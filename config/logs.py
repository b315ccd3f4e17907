"""Logs: one chain for our own lines and those of the libraries, masked at its end.

JSON, one object a line, or console on a terminal.
"""

import functools
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, unquote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.logs_output import FileHandler, Lines, handler_for
from config.masking import REDACTED, mask_foreign_text, mask_id, mask_mobile, mask_text, spell_out_controls
from config.names import Event
from config.settings import Settings

_MASKINGS: Final[Mapping[str, Callable[[str], str]]] = {
    # Checked where they are made. Their digits must stay readable.
    **dict.fromkeys(("worker", "voice_id", "trace_id", "timestamp", "level", "logger"), str),
    # People look for a code by them. Only a mobile number in them is masked.
    **dict.fromkeys(("key", "task_id", "incident"), mask_id),
    "mobile": mask_mobile,
    # Texts of others.
    **dict.fromkeys(("exception", "cause", "stack"), mask_foreign_text),
}
"""How a field is masked that needs more, or less, than the others."""
_SECRETS: Final[list[str]] = []
_ENDS: Final = {Event.INCIDENT_ENDED, Event.SENDING_RESUMED}
_JUDGES: Final[list[Processor]] = []
"""At most one: what makes a warning of a page whose incident is known."""
_HEADERS_OF_COLLECTORS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_SMALLEST_MOBILE: Final = 13_000_000_000


def configure(settings: Settings, *, level: int | None = None, file: Path | str | None = None) -> None:
    """Set up structlog and the standard library's logging. May be called again.

    `level`: of all lines, in place of both settings. `file`: in place of stderr. Raises OSError.
    """
    handler = handler_for(file)
    own_level = logging.getLevelName(settings.log_level) if level is None else level
    library_level = logging.getLevelName(settings.celery_log_level) if level is None else level
    _SECRETS[:] = _secrets(settings)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and not file and sys.stderr.isatty()
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=not file and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
        if console
        else structlog.processors.JSONRenderer(serializer=_serialize)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[mark_foreign, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, renderer],
        )
    )
    handler.addFilter(redact_arguments)
    # Our own lines go straight to the handler's stream: as a record of the standard library's a
    # line cost twice as much.
    structlog.configure(
        processors=[*shared, _judge, _last_steps(renderer)],
        wrapper_class=structlog.make_filtering_bound_logger(own_level),
        logger_factory=lambda name="voicecode": Lines(name, handler),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(library_level)
    for name, floor in _FLOORS.items():
        logging.getLogger(name).setLevel(max(library_level, floor))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def judge_pages(judge: Processor | None) -> None:
    """Have pages, and the ends of incidents, pass through `judge`; None: let all of them page."""
    _JUDGES[:] = [] if judge is None else [judge]


def _judge(logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    if event_dict.get("alert") == "page" or event_dict.get("event") in _ENDS:
        for judge in _JUDGES:
            judge(logger, method, event_dict)
    return event_dict


def in_file() -> bool:
    """Return whether lines go to a file."""
    return any(isinstance(handler, FileHandler) for handler in logging.getLogger().handlers)


_FLOORS: Final = {
    # These print whole messages at DEBUG.
    "celery.pool": logging.INFO,
    "celery.concurrency": logging.INFO,
    # "Task ... succeeded" adds nothing to attempt.finished.
    "celery.app.trace": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
}


def _last_steps(renderer: Processor) -> Processor:
    """Return mask and renderer as one step that never raises into the code that logs."""

    def finish(logger: WrappedLogger, method: str, event_dict: EventDict) -> Any:
        try:
            return renderer(logger, method, mask(logger, method, event_dict))
        except Exception:  # noqa: BLE001 - a value that cannot be shown
            logger.tell_unwritten()
            raise structlog.DropEvent from None

    return finish


def _serialize(event_dict: EventDict, default: Callable[[Any], Any]) -> str:
    """Return a line as JSON. `default`: structlog's, for values that JSON has no form for."""
    return _encoder(default).encode(event_dict)


@functools.cache
def _encoder(default: Callable[[Any], Any]) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, default=default)


def mark_foreign(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Mark a line of a library: its text is masked more strictly."""
    event_dict["foreign"] = True
    return event_dict


def mask(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Mask every text of a line. It runs last before the renderer."""
    otherwise = mask_foreign_text if event_dict.pop("foreign", False) else mask_text
    # One look at the whole line, in place of one at each of a dozen texts.
    line = " ".join([value for value in event_dict.values() if isinstance(value, str)])
    harmless = _harmless(line) == line
    for name, value in event_dict.items():
        masking = _MASKINGS.get(name, otherwise)
        if not isinstance(value, str):
            event_dict[name] = _masked(value, masking)
        else:
            event_dict[name] = masking(value if harmless else _harmless(value))
    return event_dict


def redact_arguments(record: logging.LogRecord) -> bool:
    """Replace whole structures in a library's log call: they may be a task's arguments.

    Lets every record pass.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(
            REDACTED if isinstance(a, dict | list | tuple | bytes | set) else a for a in record.args
        )
    return True


def _masked(value: Any, masking: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return masking(_harmless(value))
    if isinstance(value, dict):
        return {_masked(name, masking): _masked(part, masking) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(part, masking) for part in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < _SMALLEST_MOBILE else mask_text(str(value))
    return masking(_harmless(str(value)))


def _harmless(text: str) -> str:
    """Return text without secrets and without what a terminal acts on; tracebacks keep lines."""
    return spell_out_controls(_without_secrets(text), keep="\n\t")


def _without_secrets(text: str) -> str:
    for secret in _SECRETS:
        if secret in text:
            text = text.replace(secret, REDACTED)
    return text


def _secrets(settings: Settings) -> set[str]:
    found = set(re.findall(r"://[^/@]*:([^/@]+)@", settings.broker_url.get_secret_value()))
    if settings.apikey is not None:
        found.add(settings.apikey.get_secret_value())
    if settings.alert_webhook is not None:
        found |= {part.partition("+")[2] for part in settings.alert_webhook.get_secret_value().split()}
    for name in _HEADERS_OF_COLLECTORS:
        # OpenTelemetry shows one that it cannot read.
        found |= {part.partition("=")[2] or part for part in os.environ.get(name, "").split(",") if part}
    # Forms and addresses quote a secret.
    return found | {spell(secret) for secret in found for spell in (quote_plus, unquote)}


def _log_crash(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger("voicecode").critical("process.crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        name = crash.thread.name if crash.thread else "?"
        exc_info = (crash.exc_type, crash.exc_value, crash.exc_traceback)
        structlog.get_logger("voicecode").critical("thread.crashed", thread=name, exc_info=exc_info)
