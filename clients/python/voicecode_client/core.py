"""Core: what both clients share. A code becomes a script's arguments, its answer a value."""

import dataclasses
import hashlib
import time
import uuid
from importlib import resources
from typing import Any, Final

from voicecode_client import message, rules
from voicecode_client.answers import Duplicate, Fate, Refused, Sent, Status

SCRIPT: Final = resources.files("voicecode_client").joinpath("send.lua").read_text("utf-8")
SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
SENT_PREFIX: Final = "{voice_codes}:sent:"
RECORD_PREFIX: Final = "{voice_codes}:code:"
FATES: Final = "{voice_codes}:fates"
STATUS_FIELDS: Final = ("state", "reason", "reply_code", "voice_id", "expires_at", "accepted_at", "cancel")
TRIES: Final = 3
"""One, one more after a lost connection, and one with Redis' time."""
CLOCKS: Final = "Redis' clock jumps"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One code, checked and ready to be sent."""

    key: str
    mobile: str = dataclasses.field(repr=False)
    code: str = dataclasses.field(repr=False)
    life_seconds: float
    purpose: str | None
    task_id: str


class Core:
    """Checks, writes and reads; it does not talk to anybody."""

    def __init__(self, *, max_life_seconds: float, seal: message.Seal | None) -> None:
        self._max_life_seconds = max_life_seconds
        self._seal = seal
        self._clock_offset = 0.0

    def check(
        self, mobile: str, code: str, key: str, expires_in: float, purpose: str | None
    ) -> Job | Refused:
        """Return what may be sent, or why a worker would refuse it."""
        try:
            digits = rules.mobile(mobile)
            return Job(
                mobile=digits,
                key=rules.key(key, digits),
                code=rules.code(code),
                life_seconds=rules.life(expires_in, self._max_life_seconds),
                purpose=rules.purpose(purpose),
                task_id=str(uuid.uuid4()),
            )
        except rules.BadInput as error:
            return Refused(key=key if isinstance(key, str) else "", reason="bad_input", detail=str(error))

    def arguments(self, job: Job) -> list[Any]:
        """Return the number of keys, the keys and the arguments of the script."""
        expires_at = round(time.time() + self._clock_offset + job.life_seconds, 3)
        named: dict[str, Any] = {"key": job.key, "expires_at": expires_at}
        if job.purpose is not None:
            named["purpose"] = job.purpose
        pair = [job.mobile, job.code]
        if self._seal is not None:
            named["sealed"], pair = self._seal(job.mobile, job.code, job.key), []
        written = message.write(message.SEND_TASK, pair, named, task_id=job.task_id)
        values = [job.key, job.task_id, *(pair or ["", ""]), expires_at, job.life_seconds, written]
        return [2, message.QUEUE, SENT_PREFIX + job.key, *values]

    def read(self, answer: list[str], job: Job) -> Sent | Duplicate | Refused | None:
        """Return the script's answer as a value; None: the clock was set, so send again."""
        kind, *more = answer
        if kind == "clock":
            self._clock_offset = float(more[0]) - time.time()
            return None
        if kind == "known":
            return Duplicate(key=job.key, state=more[0], reason=more[1])
        if kind == "conflict":
            return Refused(key=job.key, reason="key_conflict", detail=rules.CONFLICT)
        if kind == "stopped":
            return Refused(
                key=job.key,
                reason="sending_stopped",
                detail="nobody can be called at the moment",
                retry_after_seconds=float(more[1]) if more[1] else None,
                offer="sms",
                row=more[0],
            )
        return Sent(key=job.key, expires_at=float(more[0]), task_id=job.task_id)


def cancel_message(key: str) -> str:
    """Return the message that withdraws a code. Raises BadInput."""
    named = {"key": rules.key(key)}
    return message.write(message.CANCEL_TASK, [], named, task_id=str(uuid.uuid4()))


def status(key: str, values: list[str | None], marked: int) -> Status:
    """Return a code's status from its record's fields, and whether it was sent lately."""
    state, reason, reply_code, voice_id, expires_at, accepted_at, cancel = (value or "" for value in values)
    return Status(
        key=key,
        state=state or ("queued" if marked else "unknown"),
        reason=reason,
        reply_code=int(reply_code) if reply_code else None,
        voice_id=voice_id,
        cancelling=bool(cancel),
        expires_at=float(expires_at) if expires_at else None,
        accepted_at=float(accepted_at) if accepted_at else None,
    )


def fates_command(after: str, wait_seconds: float) -> list[Any]:
    """Return the command that reads fates behind a position."""
    block = ["BLOCK", max(1, int(wait_seconds * 1000))] if wait_seconds > 0 else []
    return ["XREAD", "COUNT", 100, *block, "STREAMS", FATES, after.partition("/")[0] or "0"]


def fates(answer: Any, after: str) -> list[Fate]:
    """Return the fates of an answer. Each has a number, so a gap behind `after` is seen."""
    last, found = int(after.partition("/")[2] or 0), []
    for _, entries in answer or ():
        for entry, named in entries:
            number = int(named["n"])
            found.append(
                Fate(
                    key=named["key"],
                    state=named["state"],
                    reason=named["reason"],
                    row=named["row"],
                    position=f"{entry}/{number}",
                    missed=max(0, number - last - 1),
                )
            )
            last = number
    return found
