"""Drives a ledger step by step, with a clock that tests move instead of waiting."""

import itertools
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import redis

from config import names
from config.replies import Replies, Symptom
from config.settings import Settings
from worker.failure_queue import Choice, FailureQueue
from worker.ledger import Ledger
from worker.ledger.claim import Answer, Claim
from worker.ledger.finish import Outcome
from worker.ledger.record import Record
from worker.ledger.refuse import Refusal
from worker.ledger.upkeep import Tidied
from worker.message import Refused, VoiceCode
from worker.reply import Reply
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.sending.state import Sender
from worker.store.availability import RedisAvailability
from worker.store.client import connect

REPLIES: Final = Replies()
MOBILE: Final = "13800138000"


def replay(
    client: redis.Redis, settings: Settings, key: str, run: str, *, clock_offset: float = 0.0, **choice: Any
) -> str:
    """Replay one dead letter as an operator does, but record no run; return its status."""
    queue = FailureQueue(client, settings, operator="ops", clock_offset=clock_offset)
    with mock.patch.object(queue, "new_run", return_value=run), mock.patch.object(queue, "runs"):
        (progress,) = queue.replay([key], Choice(**choice))
    (status,) = progress.statuses
    return status.value


class LedgerDriver:
    """One ledger, and codes that take one step at a time.

    Every try has a token of its own unless one is given.
    """

    def __init__(self, url: str, **values: Any) -> None:
        self.settings = Settings(**{"_env_file": None, "broker_url": url, "number_per_minute": 0, **values})
        self.monotonic = 0.0
        self.availability = RedisAvailability(self.settings.reconnect_grace_seconds, lambda: self.monotonic)
        self.client: redis.Redis = connect(self.settings)
        self.sender = Sender()
        """Who asks for claims; tests change it."""
        self.ledger = Ledger(self.client, self.settings, self.availability, sender=lambda: self.sender)
        self._numbers = itertools.count()

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.ledger.clock_offset += seconds

    @property
    def now(self) -> float:
        seconds, micros = self.client.time()
        return float(seconds) + float(micros) / 1e6 + self.ledger.clock_offset

    def token(self) -> str:
        return f"t{next(self._numbers):015}"

    def code(self, key: str = "k", code: str = "0042", *, life: float | None = 300, **more: Any) -> VoiceCode:
        return VoiceCode(
            key=key, mobile=MOBILE, code=code, expires_at=None if life is None else self.now + life, **more
        )

    def claim(
        self, key: str = "k", *, token: str | None = None, code: VoiceCode | None = None, **more: Any
    ) -> Claim:
        """Claim as a message does."""
        return self.ledger.claim(
            code or self.code(key, **more), token=token or self.token(), worker="w1", task_id=f"task-{key}"
        )

    def resume(self, key: str = "k", *, token: str | None = None) -> Claim:
        """Claim as a hint does."""
        return self.ledger.resume(key, token=token or self.token(), worker="w2")

    def finish(self, claim: Claim, reply: Reply, decision: Decision) -> str:
        outcome = Outcome(claim=claim, reply=reply, row=reply.row(REPLIES), decision=decision, worker="w1")
        return self.ledger.finish(outcome).recorded.value

    def accept(self, claim: Claim) -> str:
        return self.finish(claim, Reply(code=2, message="提交成功", voice_id="16842079209571524017"), Done())

    def retry(
        self,
        claim: Claim,
        seconds: float = 5,
        *,
        symptom: Symptom | None = Symptom.HTTP_503,
        spends: str = "",
    ) -> str:
        reply = Reply(code=0, message="提交失败") if symptom is None else Reply(symptom=symptom)
        return self.finish(claim, reply, RetryIn(seconds, spends=spends))

    def bury(self, claim: Claim, code: int = 4050) -> str:
        return self.finish(claim, Reply(code=code, message="账号被冻结"), GiveUp(Reason.PERMANENT))

    def refuse(self, refused: Refused, *, own_id: str = "task-1") -> tuple[Refusal, str]:
        return self.ledger.refuse(refused, own_id=own_id, task_id=own_id, reason=Reason.BAD_INPUT.value)

    def replay(self, key: str = "k", *, token: str | None = None, **more: Any) -> str:
        run = token or self.token()
        return replay(self.client, self.settings, key, run, clock_offset=self.ledger.clock_offset, **more)

    def upkeep(self) -> Tidied:
        return self.ledger.upkeep(token=self.token())

    def record(self, key: str = "k") -> Record:
        record = self.ledger.record(key)
        assert record is not None
        return record

    def state(self, key: str = "k") -> str:
        return self.record(key).state

    def due(self, key: str = "k") -> float | None:
        """Return in how many seconds somebody must look at a key; None: never."""
        score: Any = self.client.zscore(names.DUE, key)
        return None if score is None else round(float(score) - self.now, 1)

    def moment(self, key: str = "k") -> Any:
        """Return the same as the epoch second that stands in `due`."""
        return self.client.zscore(names.DUE, key)

    def indexes(self, key: str = "k") -> set[str]:
        """Return the failure queue's indexes that a key stands in, the queue itself as ``."""
        found: Any = self.client.keys(f"{names.DEAD}*")
        zsets = [name for name in found if self.client.type(name) == "zset"]
        return {name.removeprefix(names.DEAD) for name in zsets if self.client.zscore(name, key) is not None}

    def ttl(self, key: str = "k") -> int:
        """Return the seconds that a record has left; -1: for ever."""
        return int(self.client.ttl(names.RECORD_PREFIX + key))

    def in_state(self, state: str, key: str = "k") -> Claim:
        """Bring a code into a state and return the claim of its first attempt."""
        first = self.claim(key)
        assert first.answer is Answer.CALL
        steps: dict[str, list[Callable[[], object]]] = {
            "calling": [],
            "accepted": [lambda: self.accept(first)],
            "waiting": [lambda: self.retry(first)],
            "dead": [lambda: self.bury(first)],
            "replayed": [lambda: self.bury(first), lambda: self.replay(key)],
            "fenced": [lambda: self.later(16), lambda: self.resume(key)],
        }
        for step in steps[state]:
            step()
        return first

    def close(self) -> None:
        self.client.close()
