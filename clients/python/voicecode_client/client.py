"""Client: for programs with threads. Each call is one round trip and takes a bounded time."""

import threading
import time
from typing import Any, Final, Self, cast

import redis

from voicecode_client import core
from voicecode_client.answers import Answer, Fate, Status, Unavailable

_deadline: Final = threading.local()


class _Socket:
    """A socket whose reads and writes take no longer than what is left of a call."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._polls = socket, False

    def settimeout(self, seconds: float | None) -> None:
        self._polls = seconds == 0  # redis-py looks whether a pooled connection is still there

    def __getattr__(self, name: str) -> Any:
        if name in {"recv", "recv_into", "sendall"}:
            left = max(0.001, getattr(_deadline, "at", 0.0) - time.monotonic())
            self._socket.settimeout(0 if self._polls else left)
        return getattr(self._socket, name)


class _Bounded:
    """redis-py's own time-out starts anew with each byte; this one does not."""

    def _connect(self) -> Any:
        return _Socket(super()._connect())  # type: ignore[misc]


_KINDS: Final = {"rediss": redis.SSLConnection, "unix": redis.UnixDomainSocketConnection}


class Client(core.Core):
    """Sends codes, asks and cancels. Shared by all threads; make one in a process."""

    def _connect(self, url: str, timeout_seconds: float) -> Any:
        kind = _KINDS.get(url.partition(":")[0], redis.Connection)
        pool = redis.ConnectionPool.from_url(
            url,
            connection_class=type("Bounded" + kind.__name__, (_Bounded, kind), {}),
            socket_connect_timeout=timeout_seconds / 2,  # for each address of the name
            socket_timeout=timeout_seconds,
            retry=None,
            protocol=2,
            decode_responses=True,
        )
        return redis.Redis(connection_pool=pool)

    def send(
        self, mobile: str, code: str, *, key: str, expires_in: float = 300, purpose: str | None = None
    ) -> Answer:
        """Have a code read out to a number. Raises Unavailable.

        `expires_in`: seconds after which no call starts. `key`: names this code; a new code needs a
        new one. `purpose`: such as `login`; a newer code for it replaces one that waits.
        """
        return self._run(self._steps(self._check(mobile, code, key, expires_in, purpose)))

    def status(self, key: str) -> Status:
        """Return what became of a code. Raises Unavailable."""
        return self._run(core.status(key))

    def cancel(self, key: str) -> None:
        """Withdraw a code; its status says what came of that. Raises Unavailable and ValueError."""
        self._run(core.cancel(key))

    def fates(self, after: str = "", *, wait_seconds: float = 0) -> list[Fate]:
        """Return up to 100 ends of codes behind a position. Raises Unavailable.

        `after`: the last Fate's `position`; empty: from the oldest that is kept. `wait_seconds`:
        for the next one, if there is none. Needs workers with VOICECODE_FATES.
        """
        return self._run(core.fates(after, wait_seconds), longer=wait_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._redis.connection_pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self, steps: core.Steps[core.R], *, longer: float = 0) -> core.R:
        _deadline.at = time.monotonic() + self._timeout_seconds + longer
        try:
            command = next(steps)
            while True:
                try:
                    answer = self._ask(command)
                except redis.exceptions.NoScriptError as error:
                    command = steps.throw(error)
                else:
                    command = steps.send(answer)
        except StopIteration as end:
            return cast("core.R", end.value)
        except redis.RedisError as error:
            raise Unavailable(str(error)) from error

    def _ask(self, command: list[Any], *, again: bool = True) -> Any:
        """Carry a command out; after a lost connection once more: scripts may run twice.

        No pipeline: redis-py's errors repeat its commands, and so number and code.
        """
        try:
            return self._redis.execute_command(*command)
        except redis.ConnectionError:
            if again and time.monotonic() < _deadline.at:
                return self._ask(command, again=False)
            raise
