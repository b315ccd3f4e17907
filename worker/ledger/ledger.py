"""Ledger: every step that a code can take in Redis, one round trip each."""

import math
from collections.abc import Sequence
from typing import Any

import redis

from config import names
from config.settings import Settings
from worker.ledger import claim as claims
from worker.ledger.claim import Claim
from worker.ledger.finish import Outcome
from worker.ledger.record import Record
from worker.ledger.upkeep import Tidied
from worker.ledger.upkeep import read as read_tidied
from worker.message import Refused, VoiceCode
from worker.store import keys, scripts
from worker.store.client import RedisAvailability, reaching
from worker.store.pipeline import Pipeline


class Ledger:
    """The record of every code. Shared by all threads of a process.

    `client`: a redis-py client that decodes answers. `clock_offset`: seconds added to the server's clock, for tests only.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        availability: RedisAvailability,
        *,
        clock_offset: float = 0.0,
    ) -> None:
        self.client = client
        self.clock_offset = clock_offset
        self._settings = settings
        self._availability = availability
        together = Pipeline(client)
        self._claim = scripts.load(together, "ledger/claim")
        self._finish = scripts.load(together, "ledger/finish")
        self._refuse = scripts.load(together, "ledger/refuse")
        self._upkeep = scripts.load(client, "ledger/upkeep")
        self._replay = scripts.load(client, "failure_queue/replay")

    def claim(self, code: VoiceCode, *, token: str, worker: str, task_id: str, tag: str = "") -> Claim:
        """Ask whether a message's code may be called now; makes the record at the first sight. Raises LedgerUnavailable.

        `tag`: the message's delivery tag.
        """
        expires_at = "" if code.expires_at is None else f"{code.expires_at:.3f}"
        not_before = "" if code.not_before is None else f"{code.not_before:.3f}"
        life = self._settings.code_ttl_seconds
        content = [
            code.digest,
            code.mobile,
            code.code,
            code.purpose or "",
            task_id,
            expires_at,
            life,
            not_before,
        ]
        content.append(math.ceil(self._settings.max_ttl_seconds))
        return self._ask(code.key, token, worker, tag, content)

    def resume(self, key: str, *, token: str, worker: str, tag: str = "") -> Claim:
        """Ask the same for a hint, which carries the key only. Raises LedgerUnavailable."""
        return self._ask(key, token, worker, tag, [])

    def _ask(self, key: str, token: str, worker: str, tag: str, content: Sequence[Any]) -> Claim:
        s = self._settings
        numbers = [
            s.lease_seconds,
            self._availability.lenience_seconds(),
            s.ambiguous_retries,
            s.max_attempts,
        ]
        answer = self._run(self._claim, keys.claim(key), [key, token, worker, *numbers, tag, *content])
        return claims.read([scripts.text(part) for part in answer], key=key, token=token)

    def finish(self, outcome: Outcome) -> str:
        """Record how an attempt ended, and return the script's word for it (`finish.lua`). Raises LedgerUnavailable."""
        args = outcome.arguments(self._settings.accepted_ttl_seconds)
        return scripts.text(self._run(self._finish, keys.life(outcome.key), args)[0])

    def refuse(self, refused: Refused, *, own_id: str, task_id: str, reason: str) -> tuple[bool, str]:
        """Make a dead letter of a message that cannot be called. Raises LedgerUnavailable.

        Returns whether it is new (else it was refused before), and the key that it got: its own, or the message's id where
        that key belongs to another code.
        """
        candidates = [refused.key, own_id, "id:" + refused.digest]
        args = [*candidates, refused.digest, reason, refused.reason, refused.mobile, refused.raw, task_id]
        names_ = [*(keys.record(key) for key in candidates), names.DUE, names.EXPIRY, names.DEAD]
        answer, key = (scripts.text(part) for part in self._run(self._refuse, names_, args))
        return answer == "refused", key

    def upkeep(self, *, token: str, hints: bool = True) -> Tidied:
        """Bury what has expired and, with `hints`, hint what is due, one batch of each. Raises LedgerUnavailable."""
        s = self._settings
        args = [
            token,
            names.RECORD_PREFIX,
            s.hold_seconds,
            s.upkeep_batch,
            self._availability.lenience_seconds(),
            names.RESUME_TASK,
            s.upkeep_backlog,
            s.upkeep_batch if hints else 0,
        ]
        return read_tidied(
            self._run(self._upkeep, [names.DUE, names.EXPIRY, names.DEAD, names.QUEUE, names.HINTS], args)
        )

    def replay(  # noqa: PLR0913 - one argument per choice of the operator
        self,
        key: str,
        *,
        token: str,
        operator: str,
        ambiguous: bool = False,
        life_seconds: float | None = None,
        superseded: bool = False,
    ) -> str:
        """Put a dead letter back, to be called now; return the script's word (`replay.lua`). Raises LedgerUnavailable."""
        flags = [
            "" if life_seconds is None else life_seconds,
            "1" if ambiguous else "0",
            "1" if superseded else "0",
        ]
        args = [names.RECORD_PREFIX, token, operator, *flags, self._settings.audit_entries, key]
        return scripts.text(
            self._run(self._replay, [names.DUE, names.EXPIRY, names.DEAD, names.AUDIT], args)[0]
        )

    def record(self, key: str) -> Record | None:
        """Return what is known of a key, or None. Raises LedgerUnavailable."""
        with reaching(self._availability):
            values: Any = self.client.hgetall(keys.record(key))
        return Record.from_hash(key, values)

    def _run(self, script: Any, names_: list[str], args: list[Any]) -> Any:
        with reaching(self._availability):
            return script(keys=names_, args=[self.clock_offset, names.RECORD_VERSION, *args])
