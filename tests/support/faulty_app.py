"""The worker's app with faults.

`celery -A tests.support.faulty_app worker` ends, freezes or raises at a named point.

`FAULT` holds points by commas, each `step:moment:nth[:action]`, e.g. `finish:after:1` or
`claim:before:2:raise`.

Steps and moments: each script (`claim`, `resume`, which is a hint's claim, `finish`, `refuse`,
`upkeep`, `sweep`, `give_back`), `ack` (a batch) and `submit` (the whole POST) have `before` and
`after`; `form` has `before` (the last look at the time is done) and `after` (the form has left, no
reply was read); `fetch` has `before`, `sent` (it is on its way to Redis, nobody has seen an answer)
and `after` (an answer that holds messages was read). `upkeep:after` and `sweep:after` count only
those that found something to do.

Actions: `exit` (the default: the process is gone, as if killed), `freeze` (SIGSTOP), `raise` (a
bug), `lose` (the connection to Redis breaks; with `after` the script was executed, and nobody heard
its answer), `stall` (Redis itself, `FAULT_REDIS_PID`, is frozen until the test thaws it) and `stop`
(a warm shutdown).

`FAULT_SOCKET_SECONDS` makes the time-outs of every socket to Redis that short.
"""

import collections
import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import WorkerShutdown
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.fault_markers import EXIT_STATUS, FROZEN, STALLED
from worker.gateway import connection
from worker.gateway.client import Gateway
from worker.gateway.exchange import Exchange
from worker.store import client as redis_client
from worker.store import scripts
from worker.store.scripts import Parameters
from worker.transport import channel as transport
from worker.transport import unacked

_STOP_TAKES_SECONDS: Final = 0.5
"""SIGSTOP reaches another thread, or process, a little after it was sent."""
_DIGEST: Final = Parameters.of("ledger/claim").names.index("digest")
"""A hint's claim has none."""
_WAKES: Final = ("upkeep", "sweep", "command", "report")
"""Scripts that put codes on the queue, or let them be called."""
_waking: Final = threading.Lock()
"""Held by the thread of such a script until its `after` has passed.

Until then this process claims nothing that the script has just let go: it may be about to end, and
would leave a call in hand.
"""


class InjectedError(Exception):
    """A bug, put there by a test."""


class Faults:
    """Counts how often each point was passed, and acts at those that were asked for."""

    def __init__(self, text: str) -> None:
        points = (point.split(":") for point in text.split(",") if point)
        self._wanted = {
            (step, moment, int(nth)): (*action, "exit")[0] for step, moment, nth, *action in points
        }
        self._passed: collections.Counter[tuple[str, str]] = collections.Counter()
        self._lock = threading.Lock()

    def at(self, step: str, moment: str) -> None:
        """Pass a point."""
        with self._lock:
            self._passed[step, moment] += 1
            action = self._wanted.get((step, moment, self._passed[step, moment]))
        if action == "exit":
            os._exit(EXIT_STATUS)
        if action == "freeze":
            os.write(1, f"\n{FROZEN}\n".encode())
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(_STOP_TAKES_SECONDS)
        if action == "stall":
            os.kill(int(os.environ["FAULT_REDIS_PID"]), signal.SIGSTOP)
            time.sleep(_STOP_TAKES_SECONDS)
            os.write(1, f"\n{STALLED}\n".encode())
        if action == "lose":
            raise RedisConnectionError
        if action == "raise":
            message = f"{step}:{moment}"
            raise InjectedError(message)
        if action == "stop":
            raise WorkerShutdown(0)


faults: Final = Faults(os.environ.get("FAULT", ""))


def _around(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        faults.at(step, "before")
        value = function(*args, **kwargs)
        faults.at(step, "after")
        return value

    return call


def _idle(name: str, answer: Any) -> bool:
    if name == "upkeep":
        hinted, buried, missing, *_ = answer
        return not (hinted or buried or missing)
    return name == "sweep" and not any(map(int, answer[:2])) and len(answer) <= 2


def _load(client: Any, path: str, **options: Any) -> Callable[..., Any]:
    script, name = _real_load(client, path, **options), path.rpartition("/")[2]

    def run(*, keys: list[str], args: list[Any]) -> Any:
        step = "resume" if name == "claim" and not args[_DIGEST] else name
        with contextlib.ExitStack() as stack:
            stack.enter_context(_waking)
            faults.at(step, "before")
            if step not in _WAKES:
                stack.close()
            answer = script(keys=keys, args=args)
            if not _idle(name, answer):
                faults.at(step, "after")
        return answer

    return run


def _start(channel: Any, *args: Any, **kwargs: Any) -> None:
    # What is sent next is a fetch, or a wait for a list that was seen empty.
    if not channel._list_is_empty:
        faults.at("fetch", "before")
    _real_start(channel, *args, **kwargs)
    if channel._in_poll and channel._asked:
        faults.at("fetch", "sent")


def _answer(channel: Any, command: str, options: dict[str, Any]) -> Any:
    answer = _real_answer(channel, command, options)
    if command == "EVALSHA" and answer:
        faults.at("fetch", "after")
    return answer


def _leave(attempt: Any) -> None:
    _real_leave(attempt)
    faults.at("form", "before")


def _request(self: Any, *args: Any, **options: Any) -> None:
    _real_request(self, *args, **options)
    faults.at("form", "after")


_real_load = scripts.load
_real_start = transport.FetchingChannel._brpop_start
_real_answer = transport.FetchingChannel._answer
_real_leave = Exchange.leave
_real_request = connection._Deadlined.request

# setattr: a type checker rightly minds such things.
for _owner, _name, _wrapped in (
    (scripts, "load", _load),
    (transport.FetchingChannel, "_brpop_start", _start),
    (transport.FetchingChannel, "_answer", _answer),
    (Exchange, "leave", _leave),
    (connection._Deadlined, "request", _request),
    (Gateway, "submit", _around("submit", Gateway.submit)),
    (unacked.Unacked, "ack", _around("ack", unacked.Unacked.ack)),
):
    setattr(_owner, _name, _wrapped)

_socket_seconds: Final = float(os.environ.get("FAULT_SOCKET_SECONDS", "0"))
if _socket_seconds:
    (redis_client.connect.__kwdefaults__ or {})["socket_timeout"] = _socket_seconds

from worker.app import app  # noqa: E402 - built from what was wrapped above

if _socket_seconds:
    short: Final = {"socket_timeout": _socket_seconds, "health_check_interval": _socket_seconds}
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **short}
