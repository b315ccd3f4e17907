"""Pipeline: requests that threads of a process make at the same time share one round trip.

The first caller sends immediately; later callers join the next batch, and the first of them sends
it for all. A single code loses no time, and under load many share the cost of a round trip.
"""

import copy
import dataclasses
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

BATCH: Final = 64
"""At most this many scripts in one round trip; each takes Redis about ten microseconds."""


@dataclasses.dataclass(slots=True, eq=False)
class _Call:
    command: Sequence[Any]
    source: str
    turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    """Held until there is an answer, or until its thread leads the next batch."""
    answer: Any = None
    """An exception if there is none."""
    answered: bool = False


class Pipeline:
    """Runs scripts for any number of threads. It may run one twice: it repeats lost commands."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        """The first one is the leader, unless its batch is already on its way."""
        self._leader: _Call | None = None
        self._connection: Any = None
        self._process = 0

    def register_script(self, source: str) -> Callable[..., Any]:
        """Return a function of `keys` and `args` that runs the script. Raises redis-py's errors."""
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

        def run(*, keys: Sequence[str], args: Sequence[Any]) -> Any:
            return self._run(_Call(("EVALSHA", sha, len(keys), *keys, *args), source))

        return run

    def _run(self, call: _Call) -> Any:
        with self._lock:
            leads = self._leader is None
            if leads:
                self._leader = call
            else:
                call.turn.acquire()
            self._waiting.append(call)
        if not leads:
            self._wait(call)
        if not call.answered:
            self._lead()
        if isinstance(call.answer, Exception):
            # A copy: several threads may raise one error, and each adds its own frames to it.
            raise copy.copy(call.answer)
        return call.answer

    def _wait(self, call: _Call) -> None:
        try:
            call.turn.acquire()
        except BaseException:
            # The event loop's thread may leave here by a signal: the others go on without it.
            with self._lock:
                if call in self._waiting:
                    self._waiting.remove(call)
                if self._leader is call:
                    self._pass_on()
            raise

    def _lead(self) -> None:
        """Send the waiting batch, answer its callers, and let the next one lead."""
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            self._settle(batch, self._send(batch))
        except BaseException as error:
            with self._lock:
                # The callers still waiting would run into the same time-out one after the other.
                batch, self._waiting = batch + self._waiting, []
            self._settle(batch, [_as_redis_error(error)] * len(batch))
            if not isinstance(error, Exception):
                raise

    def _settle(self, batch: Sequence[_Call], answers: Sequence[Any]) -> None:
        for call, answer in zip(batch, answers, strict=True):
            call.answer, call.answered = answer, True
        with self._lock:
            self._pass_on()
        for call in batch[1:]:
            call.turn.release()

    def _pass_on(self) -> None:
        """Make the first waiting caller the leader. Called with the lock held."""
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader:
            self._leader.turn.release()

    def _send(self, batch: Sequence[_Call]) -> list[Any]:
        answers = self._execute([call.command for call in batch])
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # A new master, or SCRIPT FLUSH: these were not executed.
            self._execute(
                [("SCRIPT", "LOAD", source) for source in {batch[number].source for number in unknown}]
            )
            for number, answer in zip(
                unknown, self._execute([batch[number].command for number in unknown]), strict=True
            ):
                answers[number] = answer
        return answers

    def _execute(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        connection = self._kept()
        packed = [_packed(command) for command in commands]
        sendable = [command for command in packed if isinstance(command, bytes)]

        def exchange() -> list[Any]:
            connection.send_packed_command([b"".join(sendable)])
            return [_answer(connection) for _ in sendable]

        try:
            answers = connection.retry.call_with_retry(exchange, lambda _error: connection.disconnect())
        except BaseException:
            # An answer that was not read must not be taken for the next one.
            connection.disconnect()
            raise
        if any(
            isinstance(answer, ResponseError) and not isinstance(answer, NoScriptError | OutOfMemoryError)
            for answer in answers
        ):
            # For example a master that was demoted, or cut off from its replicas: connect afresh.
            connection.disconnect()
        following = iter(answers)
        return [next(following) if isinstance(command, bytes) else command for command in packed]

    def _kept(self) -> Any:
        """Return the one connection; one thread sends at a time. redis-py's costs double."""
        if self._connection is None or self._process != os.getpid():
            pool = self._client.connection_pool
            self._connection, self._process = pool.get_connection(), os.getpid()
            weakref.finalize(self, pool.release, self._connection).atexit = False
        return self._connection


def _packed(command: Sequence[Any]) -> bytes | Exception:
    """Return the command in Redis' protocol, or the error: it belongs to this caller alone.

    redis-py looks at each argument before it asks hiredis, which costs three times as much.
    """
    try:
        packed: bytes = hiredis.pack_command(tuple(command))
    except TypeError as error:
        return redis.DataError(*error.args)  # as redis-py has it; the text names no value
    except Exception as error:  # noqa: BLE001 - handed to the caller
        return error
    return packed


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _as_redis_error(error: BaseException) -> Exception:
    """Return an error that callers take for an absent Redis: outcomes are then written again."""
    if isinstance(error, redis.RedisError | OSError):
        return error.with_traceback(None)
    return redis.ConnectionError(f"{type(error).__name__} while it was sent")
