"""taskiq with aiohttp in its event loop, and with requests in its threads."""

from typing import Annotated

import aiohttp
import post
import target
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(target.REDIS_URL)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def startup(state: TaskiqState) -> None:
    """Open the session."""
    state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def shutdown(state: TaskiqState) -> None:
    """Close the session."""
    await state.session.close()


@broker.task
async def call(mobile: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    """Post through the worker's session."""
    async with context.state.session.post(target.URL, data=target.form(mobile)) as response:
        response.raise_for_status()
        await response.read()


@broker.task
def call_in_thread(mobile: str) -> None:
    """Post through the thread's session."""
    post.post(mobile)


async def enqueue(mobile: str) -> None:
    """Send one to the event loop."""
    await call.kiq(mobile)


async def enqueue_thread(mobile: str) -> None:
    """Send one to the threads."""
    await call_in_thread.kiq(mobile)
