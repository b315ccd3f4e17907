"""Outcome: how an attempt ended, and the ledger's answer when it is recorded."""

import dataclasses
import enum
import json
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from config.replies import Kind, Row
from worker.ledger.claim import Claim
from worker.ledger.counters import name_try
from worker.reply import Reply
from worker.retry import OTHER_HOST, Decision, Done, GiveUp, RetryIn
from worker.sending.state import Effect, effect_of, why

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


class Recorded(enum.Enum):
    """What became of an outcome: the answer of `finish.lua`, or UNWRITTEN."""

    ACCEPTED = "accepted"
    """The call is placed, and the code is done."""
    DOUBLED = "doubled"
    """Accepted, and so was another attempt before: the phone rang twice."""
    WAITING = "waiting"
    """It is tried again later."""
    DEAD = "dead"
    """It has become a dead letter."""
    CANCELLED = "cancelled"
    """Its producer withdrew it meanwhile, so no other attempt follows."""
    DONE = "done"
    """This outcome was recorded before; the first answer was lost."""
    APPENDED = "appended"
    """Another attempt was accepted before; this one is only noted."""
    FENCED = "fenced"
    """The claim was lost meanwhile; the attempt is only noted."""
    GONE = "gone"
    """There is no record: a failover lost it, and only the message can make it again."""
    UNWRITTEN = "unwritten"
    """The process ended before Redis came back."""


class Finished(NamedTuple):
    """The answer of `finish.lua`."""

    recorded: Recorded
    transition: str = ""
    """What the result did to the fleet: a new state, `widened`, `blocked`, or nothing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one attempt: its claim, the reply and its row, and the decision."""

    claim: Claim
    reply: Reply
    row: Row
    decision: Decision
    worker: str
    ended_at: float = dataclasses.field(default_factory=time.time)
    """Epoch seconds by the worker's clock, for people only: no decision depends on it."""

    attempt_seconds: float = 0.0
    """From before the claim was sent until now."""

    in_fleet: bool = False
    """The fleet pages for its incidents, so this line need not."""

    @property
    def key(self) -> str:
        """The code's key."""
        return self.claim.key

    @property
    def word(self) -> str:
        """Return one word for the log: accepted, retry or dead."""
        return {Done: "accepted", RetryIn: "retry", GiveUp: "dead"}[type(self.decision)]

    @property
    def ambiguous(self) -> bool:
        """Whether the phone may have rung though no reply came."""
        return self.row.kind is Kind.AMBIGUOUS

    @property
    def effect(self) -> Effect:
        """What the reply says about the account and the way to the gateway."""
        return effect_of(self.row)

    @property
    def handed_on(self) -> bool:
        """Whether the gateway refused this host, and the code goes to another one."""
        return isinstance(self.decision, RetryIn) and self.decision.spends == OTHER_HOST

    def arguments(self, accepted_ttl_seconds: float) -> dict[str, Any]:
        """Return what `finish.lua` takes of the outcome itself."""
        return {
            "key": self.key,
            "token": self.claim.token,
            "attempt": self.claim.attempt,
            "outcome": self.word,
            "attempt_json": self._entry(),
            "kind": self.row.spends.value,
            "delay_seconds": self.decision.seconds if isinstance(self.decision, RetryIn) else 0,
            "reason": self.decision.reason.value if isinstance(self.decision, GiveUp) else "",
            "row": self.row.name,
            "scope": self.row.scope.value,
            "reply_code": "" if self.reply.code is None else self.reply.code,
            "reply_message": self.reply.message,
            "voice_id": self.reply.voice_id or "",
            "spends": self.decision.spends if isinstance(self.decision, RetryIn) else "",
            "accepted_ttl_seconds": accepted_ttl_seconds,
            "blocks_seconds": self.row.blocks_seconds,
            "counted": self._counted(),
        }

    def _counted(self) -> str:
        accepted = isinstance(self.decision, Done)
        return name_try(
            self.row.name,
            submission=self.reply.elapsed_seconds,
            attempt=self.attempt_seconds,
            age=self.claim.age_seconds + self.attempt_seconds if accepted else None,
        )

    def _entry(self) -> str:
        """Return the attempt as the record keeps it; by `token` a repeated finish is recognised."""
        entry = {
            "token": self.claim.token,
            "started_at": round(self.ended_at - self.reply.elapsed_seconds, 3),
            "ended_at": round(self.ended_at, 3),
            "elapsed_seconds": round(self.reply.elapsed_seconds, 4),
            "row": self.row.name,
            "kind": self.row.kind.value,
            "reply_code": self.reply.code,
            "reply_message": self.reply.message,
            "http_status": self.reply.http_status,
            "voice_id": self.reply.voice_id,
            "ambiguous": self.ambiguous,
            "worker": self.worker,
            "detail": self.reply.detail,
        }
        return _ENCODER.encode({name: value for name, value in entry.items() if value not in (None, "")})


def why_of_rows() -> Callable[[Row, float], str]:
    """Return a function of a row and `probe_seconds`: what the scripts keep of the row, as JSON."""
    known: dict[str, str] = {}

    def why_of(row: Row, probe_seconds: float) -> str:
        if row.name not in known:
            known[row.name] = json.dumps(why(row, probe_seconds))
        return known[row.name]

    return why_of
