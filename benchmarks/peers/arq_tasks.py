"""arq with aiohttp and without kept results."""

from typing import Any

import aiohttp
import target
from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings(port=target.REDIS_PORT)


async def call(context: dict[str, Any], mobile: str) -> None:
    """Post through the worker's session."""
    async with context["session"].post(target.URL, data=target.form(mobile)) as response:
        response.raise_for_status()
        await response.read()


async def startup(context: dict[str, Any]) -> None:
    """Open the session."""
    context["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def shutdown(context: dict[str, Any]) -> None:
    """Close the session."""
    await context["session"].close()


class WorkerSettings:
    """Read by the command `arq`."""

    functions = (call,)
    redis_settings = SETTINGS
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = target.SLOTS
    keep_result = 0
    poll_delay = 0.01


class Sender:
    """One pool for all that is sent."""

    pool: Any = None


async def enqueue(mobile: str) -> None:
    """Send one."""
    if Sender.pool is None:
        Sender.pool = await create_pool(SETTINGS)
    await Sender.pool.enqueue_job("call", mobile)
