"""AsyncClient: the same for asyncio. It never holds up the event loop."""

import asyncio
from typing import Any, Self, cast

import redis
import redis.asyncio

from voicecode_client import core
from voicecode_client.answers import Answer, Fate, Status, Unavailable


class AsyncClient(core.Core):
    """As Client, with methods to be awaited. Belongs to one event loop."""

    def _connect(self, url: str, timeout_seconds: float) -> Any:  # noqa: ARG002 - `_run` bounds it
        return redis.asyncio.Redis.from_url(url, retry=None, protocol=2, decode_responses=True)

    async def send(
        self, mobile: str, code: str, *, key: str, expires_in: float = 300, purpose: str | None = None
    ) -> Answer:
        """Have a code read out to a number: as `Client.send`."""
        return await self._run(self._steps(self._check(mobile, code, key, expires_in, purpose)))

    async def status(self, key: str) -> Status:
        """Return what became of a code. Raises Unavailable."""
        return await self._run(core.status(key))

    async def cancel(self, key: str) -> None:
        """Withdraw a code: as `Client.cancel`."""
        await self._run(core.cancel(key))

    async def fates(self, after: str = "", *, wait_seconds: float = 0) -> list[Fate]:
        """Return ends of codes behind a position: as `Client.fates`."""
        return await self._run(core.fates(after, wait_seconds), longer=wait_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _run(self, steps: core.Steps[core.R], *, longer: float = 0) -> core.R:
        try:
            async with asyncio.timeout(self._timeout_seconds + longer):
                command = next(steps)
                while True:
                    try:
                        answer = await self._ask(command)
                    except redis.exceptions.NoScriptError as error:
                        command = steps.throw(error)
                    else:
                        command = steps.send(answer)
        except StopIteration as end:
            return cast("core.R", end.value)
        except (TimeoutError, redis.RedisError) as error:
            raise Unavailable(str(error) or "no answer in time") from error

    async def _ask(self, command: list[Any], *, again: bool = True) -> Any:
        try:
            return await self._redis.execute_command(*command)
        except redis.ConnectionError:
            if again:
                return await self._ask(command, again=False)
            raise
