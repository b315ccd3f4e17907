"""For FastAPI: a lifespan that opens and closes the client, and the dependency `Voicecode`.

app = FastAPI(lifespan=lifespan("redis://127.0.0.1:6379/0"))

@app.post("/call")
async def call(voicecode: Voicecode) -> str:
    answer = await voicecode.send(...)
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

from voicecode_client.asynchronous import AsyncClient

Lifespan = Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]


def lifespan(url: str, *, then: Lifespan | None = None, **options: Any) -> Lifespan:
    """Return a lifespan. `options`: of AsyncClient. `then`: the app's own lifespan, within this."""

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncClient(url, **options) as client, contextlib.AsyncExitStack() as stack:
            app.state.voicecode = client
            if then is not None:
                await stack.enter_async_context(then(app))
            yield

    return run


def voicecode(connection: HTTPConnection) -> AsyncClient:
    """Return the app's client: a dependency, in requests and WebSockets."""
    client: AsyncClient = connection.app.state.voicecode
    return client


Voicecode = Annotated[AsyncClient, Depends(voicecode)]
"""The type of an argument that FastAPI fills with the client."""
