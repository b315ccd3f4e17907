"""The trace: a message names the web app's current span, if the web app has OpenTelemetry."""

from typing import Any

try:
    from opentelemetry.trace.propagation import tracecontext
except ImportError:
    _W3C: Any = None
else:
    _W3C = tracecontext.TraceContextTextMapPropagator()


def trace_headers() -> dict[str, str]:
    """Return the header `traceparent` of the current span, if there is one."""
    carrier: dict[str, str] = {}
    if _W3C is not None:
        _W3C.inject(carrier)
    return {name: value for name, value in carrier.items() if name == "traceparent"}
