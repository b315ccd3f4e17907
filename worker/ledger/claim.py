"""Claim: the answer to a worker that asks whether it may call. `claim.lua` gives it."""

import dataclasses
import enum
from typing import Final

from config.replies import Row, Spends
from worker.envelope import trace_of
from worker.message import BadInput, VoiceCode, check_code, normalise_mobile
from worker.retry import Tries
from worker.sealing import Seals, Unsealable

HINT: Final = dict.fromkeys(
    (
        *("digest", "mobile", "code", "purpose", "task_id", "expires_at", "not_before"),
        *("number_digest", "sealed", "trace"),
    ),
    "",
)
"""A message carries these, a hint does not."""


class Answer(enum.Enum):
    """What the script answers. Only CALL places a call."""

    CALL = "call"
    """The claim holds for the length of the lease."""
    BURIED = "buried"
    """It may not be called any more and has just become a dead letter."""
    EARLY = "early"
    """Its next attempt is not due yet."""
    BUSY = "busy"
    """Another worker is calling."""
    ACCEPTED = "accepted"
    """It was accepted before: this is a duplicate."""
    DEAD = "dead"
    """It is a dead letter: only a replay brings it back."""
    CANCELLED = "cancelled"
    """Its producer withdrew it."""
    CONFLICT = "conflict"
    """The key belongs to another number or code."""
    MISSING = "missing"
    """The hint names a key that has no record."""
    PARKED = "parked"
    """The fleet does not send; the code waits until it does."""
    ELSEWHERE = "elsewhere"
    """This worker cannot send, but another one can: the message goes back."""
    LIMITED = "limited"
    """Its number was called too often lately; it waits until it may be called."""
    UNNAMED = "unnamed"
    """A record of version 0.1.0, which does not name its number's digest: ask again with it."""
    NEWER = "newer"
    """The record was written by a later version of this program."""
    TOO_FAR = "too_far"
    """Its `expires_at` or `eta` lies too far ahead, by Redis' clock; nothing was recorded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An answer; with CALL, everything that the attempt needs."""

    answer: Answer
    key: str
    token: str = ""
    voice_code: VoiceCode | None = None
    attempt: int = 0
    """1-based, over all lives."""
    submissions: int = 0
    """Tries of this life that reached the gateway, counting this one."""
    rings: int = 0
    """Earlier tries of this life after which the phone may have rung."""
    turned_away: int = 0
    """Earlier tries of this life whose form was turned away unread."""
    streak: tuple[str, int] = ("", 0)
    """What the latest tries spent, and how many in a row spent the same."""
    seconds_left: float = 0.0
    """Until the code expires, by Redis' clock."""
    age_seconds: float = 0.0
    """Since a worker first saw it."""
    spent: tuple[str, ...] = ()
    """Rows with `times` that led to another attempt in this life; a name appears once for each."""
    task_id: str = ""
    replays: int = 0
    trial: bool = False
    """Whether the fleet may be on trial, so that it learns from any result."""
    sealed: str = dataclasses.field(default="", repr=False)
    """With CALL: the record's number and code, if they are sealed."""
    trace: str = ""
    """With CALL: the span of the producer that asked for the code, as `traceparent` names it."""
    reason: str = ""
    """With BURIED: why. With TOO_FAR: `expires_at` or `eta`."""
    mobile: str = dataclasses.field(default="", repr=False)
    """With BURIED: for the log, to be masked; with UNNAMED: the number itself."""
    transition: str = ""
    """With BURIED: what this claim did to the fleet."""

    def tries(self, row: Row) -> Tries:
        """Return what the code has spent in this life if this try meets `row`."""
        spends, in_a_row = self.streak
        return Tries(
            submissions=self.submissions - (row.spends is Spends.NOTHING or row.spends is Spends.PLACE),
            rings=self.rings + (row.spends is Spends.RING),
            turned_away=self.turned_away + (row.spends is Spends.PLACE),
            in_a_row=in_a_row if spends == row.spends.value else 0,
            rows=self.spent,
        )


def opened(claim: Claim, seals: Seals | None, mine: VoiceCode | None = None) -> Claim:
    """Return the claim with number and code in clear; without its code if its key is not here.

    `mine`: the message's own code, if the record holds the very pair that the message brought.
    """
    code = claim.voice_code
    if not claim.sealed or code is None:
        return claim
    if mine is not None:
        return dataclasses.replace(
            claim, voice_code=dataclasses.replace(code, mobile=mine.mobile, code=mine.code)
        )
    try:
        mobile, digits = seals.open(claim.sealed, key=claim.key) if seals else (None, None)
        if mobile is None:
            return dataclasses.replace(claim, voice_code=None)
        checked = dataclasses.replace(code, mobile=normalise_mobile(mobile), code=check_code(digits))
    except (Unsealable, BadInput):
        return dataclasses.replace(claim, voice_code=None)
    return dataclasses.replace(claim, voice_code=checked)


def read(answer: list[str], *, key: str, token: str) -> Claim:
    """Return the script's answer as a Claim."""
    kind = Answer(answer[0])
    if kind is Answer.BURIED:
        reason, mobile, task_id, *transition = answer[1:]
        return Claim(
            answer=kind,
            key=key,
            token=token,
            reason=reason,
            mobile=mobile,
            task_id=task_id,
            transition=transition[0] if transition else "",
        )
    if kind is Answer.TOO_FAR:
        return Claim(answer=kind, key=key, token=token, reason=answer[1])
    if kind is Answer.UNNAMED:
        return Claim(answer=kind, key=key, token=token, mobile=answer[1])
    if kind is not Answer.CALL:
        return Claim(answer=kind, key=key, token=token)
    (
        attempt,
        submissions,
        rings,
        turned_away,
        streak,
        left,
        age,
        mobile,
        code,
        purpose,
        task_id,
        spent,
        replays,
        trial,
        sealed,
        trace,
    ) = answer[1:]
    spends, _, in_a_row = streak.partition(":")
    return Claim(
        answer=kind,
        key=key,
        token=token,
        voice_code=VoiceCode(key=key, mobile=mobile, code=code, purpose=purpose or None),
        attempt=int(attempt),
        submissions=int(submissions),
        rings=int(rings),
        turned_away=int(turned_away),
        streak=(spends, int(in_a_row or 0)),
        seconds_left=float(left),
        age_seconds=float(age),
        spent=tuple(spent.split()),
        task_id=task_id,
        replays=int(replays),
        trial=bool(trial),
        sealed=sealed,
        trace=trace_of(trace),
    )
