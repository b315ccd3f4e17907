"""AsyncClient: the same for asyncio. It never holds up the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

import redis
import redis.asyncio

from voicecode_client import core, message
from voicecode_client.answers import Duplicate, Fate, Refused, Sent, Status, Unavailable

A = TypeVar("A")
R = TypeVar("R")
Answer = Sent | Duplicate | Refused


class AsyncClient:
    """As Client, with methods to be awaited. Belongs to one event loop."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 2.0,
        max_life_seconds: float = 3600.0,
        seal: message.Seal | None = None,
    ) -> None:
        self._core = core.Core(max_life_seconds=max_life_seconds, seal=seal)
        self._timeout_seconds = timeout_seconds
        self._redis: Any = redis.asyncio.Redis.from_url(url, retry=None, protocol=2, decode_responses=True)

    async def send(
        self, mobile: str, code: str, *, key: str, expires_in: float = 300, purpose: str | None = None
    ) -> Answer:
        """Have a code read out to a number: as `Client.send`."""
        job = self._core.check(mobile, code, key, expires_in, purpose)
        if isinstance(job, Refused):
            return job
        return await self._bounded(self._send, job)

    async def status(self, key: str) -> Status:
        """Return what became of a code. Raises Unavailable."""
        return await self._bounded(self._status, key)

    async def cancel(self, key: str) -> None:
        """Withdraw a code: as `Client.cancel`."""
        await self._bounded(self._push, core.cancel_message(key))

    async def fates(self, after: str = "", *, wait_seconds: float = 0) -> list[Fate]:
        """Return ends of codes behind a position: as `Client.fates`."""
        command = core.fates_command(after, wait_seconds)
        answer = await self._bounded(self._ask, command, longer=wait_seconds)
        return core.fates(answer, after)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _send(self, job: core.Job) -> Answer | None:
        arguments = self._core.arguments(job)
        try:
            answer = await self._redis.execute_command("EVALSHA", core.SHA, *arguments)
        except redis.exceptions.NoScriptError:
            answer = await self._redis.execute_command("EVAL", core.SCRIPT, *arguments)
        return self._core.read(answer, job)

    async def _push(self, written: str) -> int:
        return int(await self._redis.lpush(message.QUEUE, written))

    async def _ask(self, command: list[Any]) -> Any:
        return await self._redis.execute_command(*command) or []

    async def _status(self, key: str) -> Status:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(core.RECORD_PREFIX + key, core.STATUS_FIELDS)
            pipe.exists(core.SENT_PREFIX + key)
            return core.status(key, *await pipe.execute())

    async def _bounded(
        self, step: Callable[[A], Awaitable[R | None]], argument: A, *, longer: float = 0
    ) -> R:
        try:
            async with asyncio.timeout(self._timeout_seconds + longer):
                for left in reversed(range(core.TRIES)):
                    try:
                        answer = await step(argument)
                    except redis.exceptions.ConnectionError as error:
                        if not left:
                            raise Unavailable(str(error)) from error
                    else:
                        if answer is not None:
                            return answer
        except (TimeoutError, redis.RedisError) as error:
            raise Unavailable(str(error) or "no answer in time") from error
        raise Unavailable(core.CLOCKS)
