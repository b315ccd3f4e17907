"""Claim: what a worker hears when it asks whether it may call."""

import dataclasses
import enum

from worker.message import VoiceCode


class Answer(enum.Enum):
    """What the script answers. Only CALL places a call."""

    CALL = "call"
    """The claim is yours, for the length of the lease."""
    BURIED = "buried"
    """It may not be called any more and has just become a dead letter."""
    EARLY = "early"
    """It waits for a retry whose moment has not come."""
    BUSY = "busy"
    """Another worker is calling."""
    ACCEPTED = "accepted"
    """Done before: this is a duplicate."""
    DEAD = "dead"
    """Dead before: only a replay brings it back."""
    CONFLICT = "conflict"
    """The key is known with another number or code."""
    MISSING = "missing"
    """A hint for a key without a record."""
    NEWER = "newer"
    """The record was written by a later version of this program."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An answer, and with CALL all that the attempt needs."""

    answer: Answer
    key: str
    token: str = ""
    voice_code: VoiceCode | None = None
    attempt: int = 0
    """1-based, over all lives."""
    attempt_of_life: int = 0
    """1-based, since the first sight or the last replay."""
    since_ambiguous: int | None = None
    """Attempts after the first ambiguous one of this life, this one included; None where there was none."""
    seconds_left: float = 0.0
    """Until the code expires, by the server's clock."""
    age_seconds: float = 0.0
    """Since a worker first saw it."""
    spent: tuple[str, ...] = ()
    """Names of rows with `times` that led to another try in this life, once for each."""
    task_id: str = ""
    replays: int = 0
    reason: str = ""
    """With BURIED: why."""
    mobile: str = dataclasses.field(default="", repr=False)
    """With BURIED: for the log, to be masked."""


def read(answer: list[str], *, key: str, token: str) -> Claim:
    """Return the script's answer as a Claim."""
    kind = Answer(answer[0])
    if kind is Answer.BURIED:
        return Claim(answer=kind, key=key, token=token, reason=answer[1], mobile=answer[2], task_id=answer[3])
    if kind is not Answer.CALL:
        return Claim(answer=kind, key=key, token=token)
    attempt, of_life, since, left, age, mobile, code, purpose, task_id, spent, replays = answer[1:]
    return Claim(
        answer=kind,
        key=key,
        token=token,
        voice_code=VoiceCode(key=key, mobile=mobile, code=code, purpose=purpose or None),
        attempt=int(attempt),
        attempt_of_life=int(of_life),
        since_ambiguous=int(since) if int(since) >= 0 else None,
        seconds_left=float(left),
        age_seconds=float(age),
        spent=tuple(spent.split()),
        task_id=task_id,
        replays=int(replays),
    )
