"""Pipeline: what the threads of a process ask of Redis at one moment goes there in one round trip.

Who comes while nobody is sending sends at once. Who comes meanwhile waits, and goes with the next batch, which the first of
those who wait sends for all. So a lonely code loses no time, and under load many share the cost of a round trip.
"""

import copy
import dataclasses
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

BATCH: Final = 64
"""Scripts in one round trip at the most; each takes Redis some ten microseconds."""


@dataclasses.dataclass(slots=True, eq=False)
class _Call:
    command: Sequence[Any]
    source: str
    turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    """Held until there is an answer, or until its thread is to send the next batch."""
    answer: Any = None
    """An exception where there is none."""
    answered: bool = False


class Pipeline:
    """Runs scripts for any number of threads. It may run one twice, as every client does that repeats a lost command."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        """The first of them is the leader, if its batch is not on its way already."""
        self._leader: _Call | None = None
        self._connection: Any = None
        self._process = 0

    def register_script(self, source: str) -> Callable[..., Any]:
        """Return a function of `keys` and `args` that runs the script and returns its answer. It raises redis-py's errors."""
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
            # A copy: many threads may hear of one error, and each adds its own frames to what it raises.
            raise copy.copy(call.answer)
        return call.answer

    def _wait(self, call: _Call) -> None:
        try:
            call.turn.acquire()
        except BaseException:
            # A signal that ends the process, in the event loop's thread: the others go on without it.
            with self._lock:
                if call in self._waiting:
                    self._waiting.remove(call)
                if self._leader is call:
                    self._pass_on()
            raise

    def _lead(self) -> None:
        """Send what waits, answer all, and have the next one lead."""
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            self._settle(batch, self._send(batch))
        except BaseException as error:
            with self._lock:
                # Those who wait would wait for the same time-out one after the other.
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
        """Make the first of those who wait the leader; called with the lock held."""
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
        packed = [_packed(connection, command) for command in commands]
        sendable = [command for command in packed if isinstance(command, bytes)]

        def exchange() -> list[Any]:
            connection.send_packed_command([b"".join(sendable)])
            return [_answer(connection) for _ in sendable]

        try:
            answers = connection.retry.call_with_retry(exchange, lambda _error: connection.disconnect())
        except BaseException:
            # What has not been read must not be taken for the next one's answer.
            connection.disconnect()
            raise
        if any(
            isinstance(answer, ResponseError) and not isinstance(answer, NoScriptError | OutOfMemoryError)
            for answer in answers
        ):
            # A master that was demoted, or cut off from its replicas, for one: another one may stand at its address by now.
            connection.disconnect()
        following = iter(answers)
        return [next(following) if isinstance(command, bytes) else command for command in packed]

    def _kept(self) -> Any:
        """Return the one connection that is kept: a single thread sends at a time, and redis-py's own pipeline costs twice as much."""
        if self._connection is None or self._process != os.getpid():
            pool = self._client.connection_pool
            self._connection, self._process = pool.get_connection(), os.getpid()
            weakref.finalize(self, pool.release, self._connection).atexit = False
        return self._connection


def _packed(connection: Any, command: Sequence[Any]) -> bytes | Exception:
    """Return the command as Redis reads it; where that cannot be, the error is the caller's own and nobody else's."""
    try:
        return b"".join(connection.pack_command(*command))
    except Exception as error:  # noqa: BLE001 - handed to the caller
        return error


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _as_redis_error(error: BaseException) -> Exception:
    """Return what callers know how to wait for: an outcome is kept and tried again, whatever went wrong on the way."""
    if isinstance(error, redis.RedisError | OSError):
        return error.with_traceback(None)
    return redis.ConnectionError(f"{type(error).__name__} while it was sent")
