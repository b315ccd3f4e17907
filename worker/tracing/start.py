"""Start: OpenTelemetry's SDK, as its own environment variables say."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config.settings import Settings, SettingsError

if TYPE_CHECKING:
    from worker.tracing.spans import Spans

_SERVICE: Final = "voicecode"
_CLOSE_SECONDS: Final = 2.0


def start(settings: Settings, *, instance: str, version: str) -> "tuple[Spans, Callable[[], None]]":
    """Return what makes spans, and how to close it. Raises SettingsError.

    A provider that is there already, such as `opentelemetry-instrument`'s, is used and left open.
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415 - the same
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

        from worker.tracing.spans import Spans  # noqa: PLC0415 - needs it
    except ModuleNotFoundError as error:
        message = (
            f"VOICECODE_TRACES={settings.traces} needs OpenTelemetry ({error.name}):"
            " pip install 'voicecode[otel]'"
        )
        raise SettingsError(message) from None
    as_child = settings.traces == "child"
    given = trace.get_tracer_provider()
    if isinstance(given, TracerProvider):
        return Spans(given.get_tracer(_SERVICE, version), as_child=as_child), _nothing
    resource = Resource.create({"service.version": version, "service.instance.id": instance})
    if str(resource.attributes.get(SERVICE_NAME)).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: _SERVICE}))
    try:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
    except ValueError as error:
        message = f"OpenTelemetry's environment variables cannot be used: {error}"
        raise SettingsError(message) from None
    return Spans(provider.get_tracer(_SERVICE, version), as_child=as_child), lambda: _close(provider.shutdown)


def _close(shutdown: Callable[[], None]) -> None:
    """Send what waits, for a moment at most: a collector that is away must not delay the end."""
    thread = threading.Thread(target=shutdown, name="voicecode-traces", daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)


def _nothing() -> None:
    """Leave it to who made it."""
