"""Ledger: every step that a code can take in Redis, each in one round trip."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

import redis

from config import names
from config.masking import mask_mobile, mask_raw
from config.settings import Settings
from worker.ledger import claim as claims
from worker.ledger.cancel import Cancelled
from worker.ledger.claim import Answer, Claim, opened
from worker.ledger.finish import Finished, Outcome, Recorded, why_of_rows
from worker.ledger.record import Record
from worker.ledger.refuse import Refusal
from worker.ledger.upkeep import Tidied
from worker.ledger.upkeep import read as read_tidied
from worker.message import Refused, VoiceCode, safe_id
from worker.sealing import seals_of
from worker.sending.state import Effect, Sender
from worker.store import keys, scripts
from worker.store.availability import RedisAvailability, reaching
from worker.store.digests import Digests
from worker.store.pipeline import Pipeline
from worker.store.scripts import Script

_NOTE_SECONDS: Final = 10.0


class Ledger:
    """The record of every code. Shared by all threads of a process.

    `client`: a redis-py client that decodes answers. `clock_offset`: seconds added to Redis'
    clock, for tests only.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        availability: RedisAvailability,
        *,
        clock_offset: float = 0.0,
        sender: Callable[[], Sender] = Sender,
    ) -> None:
        self.client = client
        self.clock_offset = clock_offset
        self._settings = settings
        self._availability = availability
        self._sender = sender
        self._note_at = 0.0
        self._why = why_of_rows()
        self.digests = Digests(client, settings)
        self.seals = seals_of(settings)
        together = Pipeline(client)
        self._claim = Script(together, "ledger/claim", fates=settings.fates)
        self._finish = Script(together, "ledger/finish", fates=settings.fates)
        self._refuse = Script(together, "ledger/refuse", fates=settings.fates)
        self._cancel = Script(together, "ledger/cancel", fates=settings.fates)
        self._upkeep = Script(client, "ledger/upkeep", fates=settings.fates)

    def claim(  # noqa: PLR0913 - what a message says
        self, code: VoiceCode, *, token: str, worker: str, task_id: str, tag: str = "", trace: str = ""
    ) -> Claim:
        """Ask whether a message's code may be called now; the first claim creates the record.

        `tag`: the message's delivery tag. `trace`: its producer's span. Raises RedisUnavailable.
        """
        sealed = self.seals.held(code) if self.seals else ""
        claim = self._ask(
            code.key,
            token,
            worker,
            tag,
            digest=self._keyed().content(code.mobile, code.code),
            mobile=mask_mobile(code.mobile) if sealed else code.mobile,
            code="" if sealed else code.code,
            sealed=sealed,
            purpose=code.purpose or "",
            task_id=task_id,
            expires_at="" if code.expires_at is None else f"{code.expires_at:.3f}",
            not_before="" if code.not_before is None else f"{code.not_before:.3f}",
            number_digest=self._keyed().number(code.mobile),
            trace="" if code.mobile in trace else trace,
        )
        return opened(claim, self.seals, code if claim.sealed == sealed else None)

    def resume(self, key: str, *, token: str, worker: str, tag: str = "") -> Claim:
        """Ask the same for a hint, which carries only the key. Raises RedisUnavailable."""
        claim = self._ask(key, token, worker, tag, **claims.HINT)
        if claim.answer is Answer.UNNAMED:
            named = {**claims.HINT, "number_digest": self._keyed().number(claim.mobile)}
            claim = self._ask(key, token, worker, tag, **named)
        return opened(claim, self.seals)

    def cancel(self, key: str) -> Cancelled:
        """Call a code no more; return the state in which it was. Raises RedisUnavailable."""
        kept = self._settings.accepted_ttl_seconds
        [answer] = self._run(self._cancel, keys.life(key), key=key, keep_seconds=kept)
        return Cancelled(scripts.text(answer))

    def name(self, text: str) -> str:
        """Return a digest for a text that may hold a number. Raises RedisUnavailable."""
        return self._keyed().name(text)

    def own_id(self, task_id: Any) -> str:
        """Return a key for a message, from its task id. Raises RedisUnavailable."""
        return safe_id(task_id, self.name)

    def _keyed(self) -> Digests:
        """Return the digests. The first time they may ask Redis for the key."""
        if not self.digests.ready:
            with reaching(self._availability):
                self.digests.load()
        return self.digests

    def _ask(self, key: str, token: str, worker: str, tag: str, **message: str) -> Claim:
        s, sender = self._settings, self._sender()
        answer = self._run(
            self._claim,
            keys.claim(key),
            key=key,
            token=token,
            worker=worker,
            tag=tag,
            lease_seconds=s.lease_seconds,
            lenience_seconds=self._availability.lenience_seconds(),
            ambiguous_retries=s.ambiguous_retries,
            max_attempts=s.max_attempts,
            default_life_seconds=s.code_ttl_seconds,
            newest_seconds=math.ceil(s.max_ttl_seconds),
            max_life_seconds=s.max_ttl_seconds,
            per_minute=s.number_per_minute,
            per_day=s.number_per_day,
            gap_seconds=s.retry_gap_seconds,
            window_seconds=60 + s.attempt_deadline_seconds,
            calls_per_hour=s.calls_per_hour,
            calls_per_day=s.calls_per_day,
            latest_wins="1" if s.latest_wins else "0",
            config=sender.config,
            fit="1" if sender.fit else "0",
            host=sender.host,
            **message,
        )
        return claims.read([scripts.text(part) for part in answer], key=key, token=token)

    def finish(self, outcome: Outcome) -> Finished:
        """Record how an attempt ended. Raises RedisUnavailable."""
        s, code, sender = self._settings, outcome.claim.voice_code, self._sender()
        answer = self._run(
            self._finish,
            keys.finish(outcome.key),
            **outcome.arguments(s.accepted_ttl_seconds),
            digest=self._keyed().content(code.mobile, code.code) if code else "",
            number_digest=self._keyed().number(code.mobile) if code else "",
            per_day=s.number_per_day,
            has_purse="1" if s.calls_per_hour or s.calls_per_day else "0",
            config=sender.config,
            why=self._why(outcome.row, s.probe_seconds),
            effect=self._effect(outcome, sender).value,
            refused_host=sender.host if outcome.handed_on else "",
        )
        recorded, *transition = (scripts.text(part) for part in answer)
        return Finished(Recorded(recorded), *transition)

    def _effect(self, outcome: Outcome, sender: Sender) -> Effect:
        """Return what the fleet has to hear: of most results nothing, while it is not on trial.

        An acceptance is written down every ten seconds, and the first one after a refusal.
        """
        effect = outcome.effect if outcome.claim.voice_code else Effect.NEUTRAL
        if effect is Effect.BLOCKS:
            self._note_at = 0.0
        if effect is Effect.GOOD and time.monotonic() >= self._note_at:
            self._note_at = time.monotonic() + _NOTE_SECONDS
            return Effect.NOTED
        learns = outcome.claim.trial or not sender.config
        return Effect.NONE if effect in {Effect.GOOD, Effect.NEUTRAL} and not learns else effect

    def refuse(self, refused: Refused, *, own_id: str, task_id: str, reason: str) -> tuple[Refusal, str]:
        """Make a dead letter of a message that cannot be called. Raises RedisUnavailable.

        Returns whether it is new, and its key: its own, or the message's id if that key belongs to
        another code.
        """
        digest = self._keyed().raw(refused.raw)
        digest_key = "id:" + digest.partition(" ")[0]
        candidates = [keys.record(key) for key in (refused.key, own_id, digest_key)]
        answer, key = self._run(
            self._refuse,
            [*candidates, names.DUE, names.EXPIRY, names.DEAD],
            key=refused.key,
            own_id=own_id,
            digest_key=digest_key,
            digest=digest,
            number_digest=self._keyed().number(refused.mobile) if refused.mobile else "",
            reason=reason,
            detail=refused.reason,
            mobile=mask_mobile(refused.mobile) if self.seals else refused.mobile,
            raw=mask_raw(_text(refused.raw)) if self.seals else refused.raw,
            task_id=task_id,
        )
        return Refusal(scripts.text(answer)), scripts.text(key)

    def upkeep(self, *, token: str, hints: bool = True, hint_limit: int | None = None) -> Tidied:
        """Bury a batch of expired codes; with `hints`, hint due ones. Raises RedisUnavailable.

        `hint_limit`: hint at most this many; None for a whole batch.
        """
        most = (self._settings.upkeep_batch if hint_limit is None else hint_limit) if hints else 0
        tidied = self._tidy(keys.LIVES, token, most)
        with reaching(self._availability):
            old: Any = self.client.exists(*keys.LIVES_0_1_0)
        return tidied + self._tidy(keys.LIVES_0_1_0, token, most - tidied.hinted) if old else tidied

    def _tidy(self, lives: list[str], token: str, hint_limit: int) -> Tidied:
        """Do a round in one version's `due` and `expiry`."""
        s = self._settings
        answer = self._run(
            self._upkeep,
            [*lives, names.DEAD, names.QUEUE, names.HINTS, names.SENDING],
            token=token,
            prefix=names.RECORD_PREFIX,
            hold_seconds=s.hold_seconds,
            bury_limit=s.upkeep_batch,
            lenience_seconds=self._availability.lenience_seconds(),
            task=names.RESUME_TASK,
            backlog=s.upkeep_backlog,
            hint_limit=hint_limit,
        )
        return read_tidied(answer)

    def record(self, key: str) -> Record | None:
        """Return the record of a key, or None. Raises RedisUnavailable."""
        with reaching(self._availability):
            values: Any = self.client.hgetall(keys.record(key))
        return Record.from_hash(key, values)

    def _run(self, script: Script, redis_keys: list[str], **arguments: Any) -> Any:
        with reaching(self._availability):
            return script(
                redis_keys, clock_offset=self.clock_offset, version=names.RECORD_VERSION, **arguments
            )


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
