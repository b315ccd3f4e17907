"""Core: what both clients share. It talks to nobody.

Each method yields a command, takes its answer, and returns a value.
Client and AsyncClient carry the commands out; so does the testing kit, without any Redis.
"""

import dataclasses
import hashlib
import time
import uuid
from collections.abc import Generator
from importlib import resources
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError

from voicecode_client import message, rules
from voicecode_client.answers import Answer, Duplicate, Fate, Refused, Sent, Status, Unavailable

R = TypeVar("R")
Steps = Generator[list[Any], Any, R]
SCRIPT: Final = resources.files("voicecode_client").joinpath("send.lua").read_text("utf-8")
SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
SENT_PREFIX: Final = "{voice_codes}:sent:"
RECORD_PREFIX: Final = "{voice_codes}:code:"
FATES: Final = "{voice_codes}:fates"
STATUS_FIELDS: Final = ("state", "reason", "reply_code", "voice_id", "expires_at", "accepted_at", "cancel")

_CLOCKS: Final = "Redis' clock jumps"


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
    """What a client is told when it is made, and what it learns of Redis' clock.

    `url`: Redis, as `redis://`, `rediss://` or `unix://`. `timeout_seconds`: bounds each call.
    `max_life_seconds`: the workers' VOICECODE_MAX_TTL_SECONDS. `seal`: hides number and code in the
    message, for workers that can open it.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 2.0,
        max_life_seconds: float = 3600.0,
        seal: message.Seal | None = None,
    ) -> None:
        self._redis, self._timeout_seconds = self._connect(url, timeout_seconds), timeout_seconds
        self._max_life_seconds, self._seal, self._clock_offset = max_life_seconds, seal, 0.0

    def _connect(self, url: str, timeout_seconds: float) -> Any:
        raise NotImplementedError

    def _check(self, mobile: Any, code: Any, key: Any, expires_in: Any, purpose: Any) -> Job | Refused:
        """Return what may be sent, or why a worker would refuse it."""
        try:
            digits = rules.mobile(mobile)
            named = {"mobile": digits, "key": rules.key(key, digits), "code": rules.code(code)}
            life, purpose = rules.life(expires_in, self._max_life_seconds), rules.purpose(purpose)
            return Job(**named, life_seconds=life, purpose=purpose, task_id=str(uuid.uuid4()))
        except rules.BadInput as error:
            return Refused(key=key if isinstance(key, str) else "", reason="bad_input", detail=str(error))

    def _arguments(self, job: Job) -> list[Any]:
        """Return the number of keys, the keys and the arguments of the script."""
        expires_at = round(time.time() + self._clock_offset + job.life_seconds, 3)
        sealed = self._seal(job.mobile, job.code, job.key) if self._seal else None
        pair = ["", ""] if sealed else [job.mobile, job.code]
        given = {"key": job.key, "expires_at": expires_at, "purpose": job.purpose, "sealed": sealed}
        named = {name: value for name, value in given.items() if value is not None}
        written = message.write(message.SEND_TASK, [] if sealed else pair, named, task_id=job.task_id)
        values = [job.key, job.task_id, *pair, expires_at, job.life_seconds, written]
        return [2, message.QUEUE, SENT_PREFIX + job.key, *values]

    def _steps(self, job: Job | Refused) -> Steps[Answer]:
        """Send what `_check` returned; once more with Redis' time if the own clock is off."""
        for _ in range(2):
            if isinstance(job, Refused):
                return job
            arguments = self._arguments(job)
            try:
                kind, *more = yield ["EVALSHA", SHA, *arguments]
            except NoScriptError:
                kind, *more = yield ["EVAL", SCRIPT, *arguments]
            if kind != "clock":
                return _answer(job, kind, *more)
            self._clock_offset = float(more[0]) - time.time()
        raise Unavailable(_CLOCKS)


def _answer(job: Job, kind: str, what: str = "", more: str = "") -> Answer:
    """Return the script's answer as a value."""
    if kind == "known":
        return Duplicate(key=job.key, state=what, reason=more)
    if kind == "conflict":
        return Refused(key=job.key, reason="key_conflict", detail=rules.CONFLICT)
    if kind == "sent":
        return Sent(key=job.key, expires_at=float(what), task_id=job.task_id)
    named = {"reason": "sending_stopped", "detail": "nobody can be called at the moment", "row": what}
    return Refused(key=job.key, **named, retry_after_seconds=float(more) if more else None, offer="sms")


def cancel(key: str) -> Steps[None]:
    """Withdraw a code. Raises BadInput."""
    written = message.write(message.CANCEL_TASK, [], {"key": rules.key(key)}, task_id=str(uuid.uuid4()))
    yield ["LPUSH", message.QUEUE, written]


def status(key: str) -> Steps[Status]:
    """Look at a code's record; if there is none, whether the code was sent lately."""
    values = yield ["HMGET", RECORD_PREFIX + key, *STATUS_FIELDS]
    marked = values[0] is not None or (yield ["EXISTS", SENT_PREFIX + key])
    state, reason, reply_code, voice_id, *times, cancel = (value or "" for value in values)
    ends, accepted = (float(moment) if moment else None for moment in times)
    return Status(
        key=key,
        state=state or ("queued" if marked else "unknown"),
        reason=reason,
        reply_code=int(reply_code) if reply_code else None,
        voice_id=voice_id,
        cancelling=bool(cancel),
        expires_at=ends,
        accepted_at=accepted,
    )


def fates(after: str, wait_seconds: float) -> Steps[list[Fate]]:
    """Read fates behind a position. Each has a number, so a gap behind `after` is seen."""
    entry, _, number = after.partition("/")
    last, found = int(number or 0), []
    block = ["BLOCK", max(1, int(wait_seconds * 1000))] if wait_seconds > 0 else []
    streams = yield ["XREAD", "COUNT", 100, *block, "STREAMS", FATES, entry or "0"]
    for entry, named in (one for _, entries in streams or () for one in entries):
        n, told = int(named["n"]), {name: named[name] for name in ("key", "state", "reason", "row")}
        found.append(Fate(**told, position=f"{entry}/{n}", missed=max(0, n - last - 1)))
        last = n
    return found
