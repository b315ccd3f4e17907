"""Client: for programs with threads. Each call is one round trip and takes a bounded time."""

import threading
import time
from typing import Any, Final, Self

import redis

from voicecode_client import core, message
from voicecode_client.answers import Duplicate, Fate, Refused, Sent, Status, Unavailable

Answer = Sent | Duplicate | Refused
_deadline: Final = threading.local()


class _Socket:
    """A socket whose reads and writes take no longer than what is left of a call."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._polls = False

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


class _Tcp(_Bounded, redis.Connection):
    """TCP."""


class _Tls(_Bounded, redis.SSLConnection):
    """TLS; redis-py verifies certificate and host name."""


class _Unix(_Bounded, redis.UnixDomainSocketConnection):
    """A socket in the file system."""


_CONNECTIONS: Final = {"rediss": _Tls, "unix": _Unix}


class Client:
    """Sends codes, asks and cancels. Shared by all threads; make one in a process.

    `url`: Redis, as `redis://`, `rediss://` or `unix://`. `timeout_seconds`: bounds each call.
    `max_life_seconds`: the workers' VOICECODE_MAX_TTL_SECONDS. `seal`: hides number and code in the
    message, for workers that can open it.
    """

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
        pool = redis.ConnectionPool.from_url(
            url,
            connection_class=_CONNECTIONS.get(url.partition(":")[0], _Tcp),
            socket_connect_timeout=timeout_seconds / 2,  # for each address of the name
            socket_timeout=timeout_seconds,
            retry=None,
            protocol=2,
            decode_responses=True,
        )
        self._redis: Any = redis.Redis(connection_pool=pool)

    def send(
        self, mobile: str, code: str, *, key: str, expires_in: float = 300, purpose: str | None = None
    ) -> Answer:
        """Have a code read out to a number. Raises Unavailable.

        `expires_in`: seconds after which no call starts. `key`: names this code; a new code needs a
        new one. `purpose`: such as `login`; a newer code for it replaces one that waits.
        """
        job = self._core.check(mobile, code, key, expires_in, purpose)
        if isinstance(job, Refused):
            return job
        answer: Answer = self._bounded(self._send, job)
        return answer

    def status(self, key: str) -> Status:
        """Return what became of a code. Raises Unavailable."""
        found: Status = self._bounded(self._status, key)
        return found

    def cancel(self, key: str) -> None:
        """Withdraw a code; its status says what came of that. Raises Unavailable and ValueError."""
        self._bounded(self._push, core.cancel_message(key))

    def fates(self, after: str = "", *, wait_seconds: float = 0) -> list[Fate]:
        """Return up to 100 ends of codes behind a position. Raises Unavailable.

        `after`: the last Fate's `position`; empty: from the oldest that is kept. `wait_seconds`:
        for the next one, if there is none. Needs workers with VOICECODE_FATES.
        """
        command = core.fates_command(after, wait_seconds)
        answer = self._bounded(self._ask, command, longer=wait_seconds)
        return core.fates(answer, after)

    def close(self) -> None:
        """Close the connections."""
        self._redis.connection_pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, job: core.Job) -> Answer | None:
        arguments = self._core.arguments(job)
        try:
            answer = self._redis.execute_command("EVALSHA", core.SHA, *arguments)
        except redis.exceptions.NoScriptError:
            answer = self._redis.execute_command("EVAL", core.SCRIPT, *arguments)
        return self._core.read(answer, job)

    def _push(self, written: str) -> int:
        return int(self._redis.lpush(message.QUEUE, written))

    def _ask(self, command: list[Any]) -> Any:
        return self._redis.execute_command(*command) or []

    def _status(self, key: str) -> Status:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(core.RECORD_PREFIX + key, core.STATUS_FIELDS)
            pipe.exists(core.SENT_PREFIX + key)
            return core.status(key, *pipe.execute())

    def _bounded(self, step: Any, argument: Any, *, longer: float = 0) -> Any:
        """Carry a step out. After a lost connection it is repeated: scripts may run twice."""
        _deadline.at = time.monotonic() + self._timeout_seconds + longer
        for left in reversed(range(core.TRIES)):
            try:
                answer = step(argument)
            except redis.exceptions.TimeoutError as error:
                raise Unavailable(str(error)) from error
            except redis.RedisError as error:
                lost = isinstance(error, redis.exceptions.ConnectionError)
                if not (lost and left and time.monotonic() < _deadline.at):
                    raise Unavailable(str(error)) from error
            else:
                if answer is not None:
                    return answer
        raise Unavailable(core.CLOCKS)
