"""Crashes: what a worker meets, and where it dies. `tests/support/crash_runner.py` runs them."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis

from config import names
from config.replies import Replies
from config.settings import Settings, load
from tests.support.fetching import fetch
from tests.support.ledger_driver import replay
from tests.support.workers import enqueue, stock_producer
from worker.ledger import Ledger
from worker.ledger.claim import Claim
from worker.ledger.finish import Outcome
from worker.message import VoiceCode
from worker.reply import Reply
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.sending.account import Account
from worker.store.availability import RedisAvailability
from worker.store.client import connect
from worker.store.digests import Digests

TIMES: Final[Mapping[str, Any]] = {
    "connect_timeout_seconds": 0.5,
    "read_timeout_seconds": 0.9,
    "attempt_deadline_seconds": 1.0,
    "lease_seconds": 1.2,
    "hold_seconds": 1.2,
    "visibility_timeout_seconds": 1.5,
    "upkeep_interval_seconds": 0.1,
    "reconnect_grace_seconds": 0.2,
    "number_per_minute": 0,
    "stop_sending": False,
    "concurrency": 2,
    "log_level": "INFO",
}
LONG_AGO: Final = -30.0
"""Clock offset of what a worker of former times did."""
_REPLIES: Final = Replies()
_LATER_SECONDS: Final = 8
"""A worker has come by then, and died, even on a machine with much else to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """What a worker meets, where it dies, and what becomes of the code."""

    situation: str
    fault: str
    calls: int
    ambiguous: int
    end: str = "accepted"
    """Or the reason of its dead letter."""
    scenarios: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def stalls(self) -> float:
        """Seconds for which Redis is frozen; 0: it is not."""
        return 0.0 if "stall" not in self.fault else 2.0 if self.fault.startswith("fetch:before") else 0.6

    @property
    def freezes(self) -> bool:
        """Whether the worker itself is frozen until another one has finished the code."""
        return self.fault.endswith("freeze")

    @property
    def pages(self) -> bool:
        """Whether the fleet stops for a person, and says so: another worker may have to."""
        return self.end == "permanent" and bool(dict(self.settings).get("stop_sending"))

    def __str__(self) -> str:
        words = [
            self.situation,
            *self.scenarios,
            self.fault,
            *(f"{name}={value}" for name, value in self.settings),
        ]
        return " ".join(words).replace(" ", "-")


class Database:
    """One Redis database, one number, and what stands there before the worker comes."""

    def __init__(self, url: str, mobile: str) -> None:
        self.url = url
        self.code = VoiceCode(key="k", mobile=mobile, code="0042")
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self._app = stock_producer(url)

    def enqueue(self, code: Any = "0042", **more: Any) -> str:
        """Send the message as a web app does; return the task id."""
        return enqueue(self._app, self.code.mobile, code, **{"key": "k", **more})

    def send(self, name: str = names.SEND_TASK, **options: Any) -> str:
        """Send any task."""
        args = [self.code.mobile, self.code.code]
        return str(self._app.send_task(name, args=args, kwargs={"key": "k"}, queue=names.QUEUE, **options).id)

    def ledger(self, offset: float = 0.0, **values: Any) -> Ledger:
        """Return a ledger of this database."""
        settings = settings_for(self.url, **values)
        return Ledger(connect(settings), settings, RedisAvailability(0, time.monotonic), clock_offset=offset)

    def claim(self, offset: float = 0.0, *, expires_at: float | None = None, **values: Any) -> Claim:
        """Claim the code as a worker that is no more."""
        code = dataclasses.replace(self.code, expires_at=expires_at)
        return self.ledger(offset, **values).claim(
            code, token="former-token", worker="former", task_id="former"
        )

    def finish(self, claim: Claim, reply_code: int, decision: Decision, offset: float = 0.0) -> None:
        """Finish it as that worker."""
        self.ledger(offset).finish(outcome(claim, reply_code, decision))

    def close(self) -> None:
        """Let go of the connections."""
        self.redis.close()
        self._app.close()


def settings_for(url: str, **values: Any) -> Settings:
    """Return the settings of these tests."""
    return load(**{**TIMES, "broker_url": url, **values}, _env_file=None)


def outcome(claim: Claim, reply_code: int, decision: Decision) -> Outcome:
    """Return how an attempt ended."""
    row = _REPLIES.of_code(reply_code, "")
    return Outcome(
        claim=claim,
        reply=Reply(code=reply_code, message=row.message),
        row=row,
        decision=decision,
        worker="former",
    )


def _replayed(database: Database) -> str:
    database.finish(database.claim(), 407, GiveUp(Reason.PERMANENT))
    replay(database.redis, settings_for(database.url), "k", "run")
    return "k"


def _waiting_expired(database: Database) -> str:
    claim = database.claim(LONG_AGO, expires_at=time.time() - 10)
    database.finish(claim, 0, RetryIn(60), LONG_AGO)
    return "k"


def _calling_expired(database: Database) -> str:
    database.claim(LONG_AGO, expires_at=time.time() - 10)
    return "k"


def _lease_over(database: Database) -> str:
    database.claim(LONG_AGO)
    return "k"


def _new(database: Database) -> str:
    database.enqueue()
    return "k"


def _late(database: Database) -> str:
    database.enqueue(expires_at=time.time() - 1)
    return "k"


def _duplicate_of_accepted(database: Database) -> str:
    database.finish(database.claim(), 2, Done())
    return _new(database)


def _duplicate_of_dead(database: Database) -> str:
    database.finish(database.claim(), 407, GiveUp(Reason.PERMANENT))
    return _new(database)


def _busy(database: Database) -> str:
    database.claim(lease_seconds=_LATER_SECONDS, visibility_timeout_seconds=_LATER_SECONDS + 1)
    return _new(database)


def _early(database: Database) -> str:
    database.finish(database.claim(), 0, RetryIn(_LATER_SECONDS))
    return _new(database)


def _conflict(database: Database) -> str:
    database.finish(database.claim(), 2, Done())
    return database.enqueue("4711")


def _bad_input(database: Database) -> str:
    database.enqueue(42)
    return "k"


def _unknown_task(database: Database) -> str:
    return database.send("task_of_tomorrow")


def _unreadable(database: Database) -> str:
    database.redis.lpush(names.QUEUE, "no JSON")
    salt = Digests(database.redis, Settings(_env_file=None)).salt
    return "raw:" + hashlib.sha1(f"{salt}no JSON".encode(), usedforsecurity=False).hexdigest()


def _left_in_unacked(database: Database) -> str:
    database.enqueue()
    assert fetch(database.redis, 1, "former/1", clock_offset=LONG_AGO)
    return "k"


def _beside(database: Database) -> str:
    database.send(priority=6)
    assert database.redis.llen(names.QUEUE) == 0
    return "k"


def _on_trial(database: Database) -> str:
    account = Account(database.redis, operator="former")
    account.hold()
    account.resume()
    return _new(database)


def _purse_empty(database: Database) -> str:
    database.redis.set(names.PURSE_PREFIX + "hour", 1)
    return _new(database)


SITUATIONS: Final[Mapping[str, Callable[[Database], str]]] = {
    "new": _new,
    "replayed": _replayed,
    "waiting expired": _waiting_expired,
    "calling expired": _calling_expired,
    "lease over": _lease_over,
    "late": _late,
    "duplicate of accepted": _duplicate_of_accepted,
    "duplicate of dead": _duplicate_of_dead,
    "busy": _busy,
    "early": _early,
    "conflict": _conflict,
    "bad input": _bad_input,
    "unknown task": _unknown_task,
    "unreadable": _unreadable,
    "left in unacked": _left_in_unacked,
    "beside": _beside,
    "on trial": _on_trial,
    "purse empty": _purse_empty,
}
"""Each prepares the database and returns the key to look at afterwards."""
