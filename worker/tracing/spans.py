"""Spans: one message's way through a worker, by OpenTelemetry's conventions.

`process voice_codes` is the whole; `claim`, `POST` and `finish` are its steps. It links to the span
of the producer, or is its child. A message without a producer's span begins a trace, to which the
code's further attempts link.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.trace import set_span_in_context as within
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config.names import QUEUE
from worker.envelope import SKIPPED, Ending, trace_of

PROCESS: Final = f"process {QUEUE}"
ERROR_TYPE: Final = "error.type"
_ABOUT: Final = {
    "messaging.system": "celery",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": QUEUE,
}
_PROPAGATOR: Final = TraceContextTextMapPropagator()

Facts = dict[str, Any]
"""A span's attributes. With `error.type` the span has failed."""


class _Current(threading.local):
    began: int = 0
    span: Span | None = None


class Spans:
    """Shared by all threads; each works on one message at a time. Times are epoch nanoseconds."""

    def __init__(self, tracer: Tracer, *, as_child: bool) -> None:
        self._tracer = tracer
        self._as_child = as_child
        self._current = _Current()

    @contextlib.contextmanager
    def message(self) -> Iterator[list[Ending]]:
        """Enclose what a worker does with one message; the caller puts its end into the list.

        Without `open` before its end there is no span: a hint that led to no call.
        """
        current, endings = self._current, list[Ending]()
        current.began, current.span = time.time_ns(), None
        failed = ""
        try:
            yield endings
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            span, current.span = current.span, None
            if span is not None:
                _finish(span, _of_ending(endings[0]) if endings else {ERROR_TYPE: failed})

    def open(self, producer: str) -> str:
        """Begin the span of this thread's message, and return its name as a `traceparent`.

        `producer`: the producer's span; may be empty.
        """
        theirs = _PROPAGATOR.extract({"traceparent": producer}, Context()) if producer else Context()
        links = [Link(get_current_span(theirs).get_span_context())] if producer and not self._as_child else []
        span = self._tracer.start_span(
            PROCESS,
            context=Context() if links else theirs,
            kind=SpanKind.CONSUMER,
            attributes=_ABOUT,
            links=links,
            start_time=self._current.began,
        )
        self._current.span = span
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, within(span, Context()))
        return trace_of(carrier.get("traceparent"))

    def note(self, facts: Facts) -> None:
        """Add to the span of this thread's message."""
        if self._current.span is not None:
            self._current.span.set_attributes(facts)

    @contextlib.contextmanager
    def step(self, name: str, about: Facts) -> Iterator[Facts]:
        """Enclose a step of this thread's message, which may be opened meanwhile.

        The caller adds to the facts.
        """
        began, facts = time.time_ns(), dict(about)
        try:
            yield facts
        except Exception as error:
            facts[ERROR_TYPE] = type(error).__name__
            raise
        finally:
            span = self._current.span
            if span is not None and span.is_recording():
                step = self._tracer.start_span(
                    name, context=within(span, Context()), kind=SpanKind.CLIENT, start_time=began
                )
                _finish(step, facts)


def _finish(span: Span, facts: Facts) -> None:
    span.set_attributes(facts)
    if ERROR_TYPE in facts:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _of_ending(ending: Ending) -> Facts:
    facts = {"voicecode.outcome": ending.word}
    if ending.row:
        facts["voicecode.row"] = ending.row
    if ending.word == "dead":
        facts[ERROR_TYPE] = ending.reason
    elif ending.word not in {"accepted", "cancelled", SKIPPED}:
        facts[ERROR_TYPE] = ending.row
    return facts
