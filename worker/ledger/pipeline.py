"""Pipeline: what the threads of a process ask of Redis at one moment goes there in one round trip.

Who comes while nobody is sending sends at once. Who comes meanwhile waits, and goes with the next batch, which the first of
those who wait sends for all. So a lonely code loses no time, and under load many share the cost of a round trip.
"""

import dataclasses
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, ResponseError

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
        self._connection: Any = None
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        self._sending = False

    def register_script(self, source: str) -> Callable[..., Any]:
        """Return a function of `keys` and `args` that runs the script and returns its answer. It raises redis-py's errors."""
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

        def run(*, keys: Sequence[str], args: Sequence[Any]) -> Any:
            return self._run(_Call(("EVALSHA", sha, len(keys), *keys, *args), source))

        return run

    def _run(self, call: _Call) -> Any:
        with self._lock:
            leads = not self._sending
            if leads:
                self._sending = True
            else:
                call.turn.acquire()
            self._waiting.append(call)
        if not leads:
            call.turn.acquire()
        if not call.answered:
            self._lead()
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _lead(self) -> None:
        """Send what waits, answer the others, and have the next one lead."""
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            answered = list(zip(batch, self._send(batch), strict=True))
        except Exception as error:  # noqa: BLE001 - all in the batch are to hear of it
            with self._lock:
                # They would wait for the same time-out one after the other.
                batch, self._waiting = batch + self._waiting, []
            answered = [(call, error) for call in batch]
        for call, answer in answered:
            call.answer, call.answered = answer, True
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            self._sending = heir is not None
        if heir:
            heir.turn.release()
        for call in batch[1:]:
            call.turn.release()

    def _send(self, batch: Sequence[_Call]) -> list[Any]:
        answers = self._execute(batch)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # A new master, or SCRIPT FLUSH: these were not executed.
            for source in {batch[number].source for number in unknown}:
                self._client.script_load(source)
            for number, answer in zip(unknown, self._execute([batch[number] for number in unknown]), strict=True):
                answers[number] = answer
        return answers

    def _execute(self, batch: Sequence[_Call]) -> list[Any]:
        connection = self._connection = self._connection or self._take_connection()
        packed = [_packed(connection, call) for call in batch]
        commands = [command for command in packed if isinstance(command, bytes)]

        def exchange() -> Iterator[Any]:
            connection.send_packed_command(commands)
            return iter([_answer(connection) for _ in commands])

        try:
            answers = connection.retry.call_with_retry(exchange, lambda _error: connection.disconnect())
        except BaseException:
            # What has not been read must not be taken for the next one's answer.
            connection.disconnect()
            raise
        return [next(answers) if isinstance(command, bytes) else command for command in packed]

    def _take_connection(self) -> Any:
        """Take one for good: a single thread sends at a time, and redis-py's own pipeline costs twice as much."""
        pool = self._client.connection_pool
        connection = pool.get_connection()
        weakref.finalize(self, pool.release, connection).atexit = False
        return connection


def _packed(connection: Any, call: _Call) -> bytes | Exception:
    """Return the command as Redis reads it; where that cannot be, the error is the caller's own and nobody else's."""
    try:
        return b"".join(connection.pack_command(*call.command))
    except Exception as error:  # noqa: BLE001 - handed to the caller
        return error


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
