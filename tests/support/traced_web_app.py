"""A web app with stock OpenTelemetry: its request's span, and Celery's own instrumentation.

`python -m tests.support.traced_web_app REDIS_URL MOBILE CODE KEY` enqueues one code, and prints the
`traceparent` of its request's span.
"""

import sys

from celery import Celery
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def main(url: str, mobile: str, code: str, key: str) -> None:
    """Do what a request handler does."""
    provider = TracerProvider(resource=Resource.create({"service.name": "web"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    app = Celery("web", broker=url)
    with trace.get_tracer("web").start_as_current_span("POST /login"):
        carrier: dict[str, str] = {}
        inject(carrier)
        print(carrier["traceparent"], flush=True)  # noqa: T201 - the test reads it
        app.send_task("send_voice_code", args=[mobile, code], kwargs={"key": key}, queue="voice_codes")
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
