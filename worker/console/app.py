"""App: the console as an ASGI application."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.console.pages import now
from worker.console.pages.table import PAGES
from worker.console.web.assets import Assets
from worker.console.web.console import Console
from worker.console.web.guard import Guard
from worker.console.web.live import Live
from worker.console.web.router import failed, route, stranger


def build(console: Console) -> Starlette:
    """Return the application. It starts the console's threads, and ends them."""
    assets = Assets()
    console.templates.globals.update(asset=assets.address, shown=now.shown)
    live = Live(console, now.live)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        console.start()
        try:
            yield
        finally:
            console.stop()

    async def missing(request: Request, error: Exception) -> Response:
        ask = stranger(console, request, {})
        status = error.status_code if isinstance(error, HTTPException) else 500
        return failed(console, ask, status, ask.words("refused.page"))

    app = Starlette(
        routes=[
            *(route(console, page) for page in PAGES),
            Route("/live", live.answer),
            Route("/static/{stamp}/{name}", assets.serve),
        ],
        middleware=[Middleware(Guard, console.hosts, secure=console.secure)],
        exception_handlers={404: missing, 405: missing},
        lifespan=lifespan,
    )
    app.state.live = live
    return app
