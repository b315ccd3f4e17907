"""Live: the figures of the first page as server-sent events, for as long as somebody looks."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

import redis
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from worker.console.access.roles import Right
from worker.console.web.ask import Ask
from worker.console.web.forms import Refused, read_query
from worker.console.web.router import person_of, stranger

if TYPE_CHECKING:
    from worker.console.web.console import Console

EVERY_SECONDS: Final = 2.0
LONGEST_SECONDS: Final = 600.0
"""Then the browser connects again by itself."""
MOST: Final = 100

Read = Callable[["Console", Ask], dict[str, Any]]


class Live:
    """Streams of one console."""

    def __init__(self, console: "Console", read: Read) -> None:
        self._console = console
        self._read = read
        self._open = 0
        self.stopping = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        """Answer with a stream, for people who may see."""
        try:
            ask = await run_in_threadpool(self._ask, request)
        except redis.RedisError:
            return PlainTextResponse("Redis cannot be reached.\n", 503)
        if ask is None:
            return PlainTextResponse("Log in first.\n", 403)
        if self._open >= MOST:
            return PlainTextResponse("Too many people look.\n", 503)
        return StreamingResponse(self._events(request, ask), media_type="text/event-stream")

    def _ask(self, request: Request) -> Ask | None:
        ask = stranger(self._console, request, {})
        person = person_of(self._console, request)
        try:
            query = read_query(request.url.query)
        except Refused:
            return None
        if person is None or not person.may(Right.SEE):
            return None
        return dataclasses.replace(ask, person=person, query=query)

    async def _events(self, request: Request, ask: Ask) -> AsyncIterator[str]:
        self._open += 1
        try:
            for _ in range(int(LONGEST_SECONDS / EVERY_SECONDS)):
                text = await run_in_threadpool(self._text, request, ask)
                yield text
                if text.startswith("event: over") or self.stopping.is_set():
                    return
                try:
                    await asyncio.wait_for(self.stopping.wait(), EVERY_SECONDS)
                except TimeoutError:
                    continue
                return
        finally:
            self._open -= 1

    def _text(self, request: Request, ask: Ask) -> str:
        """Return one event. Whose session is over hears that, and no figure."""
        try:
            if person_of(self._console, request) is None:
                return "event: over\ndata: {}\n\n"
            return f"data: {json.dumps(self._read(self._console, ask))}\n\n"
        except redis.RedisError:
            return "event: away\ndata: {}\n\n"
