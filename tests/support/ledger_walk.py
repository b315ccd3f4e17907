"""Random steps on the ledger and on its model, compared after each.

`tests/integration/test_ledger_model.py` runs it.

An offset moves the clock in steps of ten seconds, and every duration is a multiple of ten: compared
with the clock, a moment is either equal or seconds apart.
"""

import collections
import itertools
import math
import random
import time
from collections.abc import Iterable
from typing import Any, Final

from config import names
from config.replies import Kind, Replies, Row, Symptom
from config.settings import load
from tests.support.ledger_compare import DRIFT_SECONDS, compare
from tests.support.ledger_driver import replay
from tests.support.ledger_model import AMBIGUOUS_RETRIES, HOLD, LEASE, LIFE, MAX_ATTEMPTS, Model
from worker.failure_queue.removal import Removal
from worker.ledger import Ledger
from worker.ledger.claim import Answer, Claim
from worker.ledger.finish import Outcome
from worker.ledger.refuse import Refusal
from worker.message import Refused, VoiceCode
from worker.reply import Reply
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.store.availability import RedisAvailability

KEYS: Final = ("a", "b", "c")
MOBILES: Final = {"a": "13800000001", "b": "13800000001", "c": "13911110001", "d": "13911110002"}
REPLIES: Final = Replies()
RESET: Final = REPLIES.of_symptom(Symptom.RESET)
REFUSED: Final = REPLIES.of_symptom(Symptom.CONNECT_REFUSED)
BUSY: Final = REPLIES.of_symptom(Symptom.HTTP_503)
ROWS: Final = {
    "accepted": REPLIES.of_code(2, ""),
    "retry": REPLIES.of_code(0, ""),
    "dead": REPLIES.of_code(406, ""),
}
SETTINGS: Final = load(
    _env_file=None,
    lease_seconds=LEASE,
    hold_seconds=HOLD,
    code_ttl_seconds=LIFE,
    visibility_timeout_seconds=LEASE + 10,
    max_attempts=MAX_ATTEMPTS,
    ambiguous_retries=AMBIGUOUS_RETRIES,
    number_per_minute=0,
    digest_key="the key of this walk",
)


class FixedAvailability(RedisAvailability):
    """An outage whose lenience is said by the test."""

    lenience = 0

    def lenience_seconds(self) -> float:
        """Return what was said."""
        return self.lenience


class RandomWalk:
    """One walk of `length` steps, told by its seed.

    `client`: of a server of its own, which is emptied.
    """

    def __init__(self, client: Any, seed: int) -> None:
        client.flushall()
        self.client = client
        self.random = random.Random(seed)
        seconds, microseconds = client.time()
        self.base = seconds + microseconds / 1e6
        self.availability = FixedAvailability(0, time.monotonic)
        self.ledger = Ledger(client, SETTINGS, self.availability)
        self.removal = Removal(client, SETTINGS)
        self.model = Model()
        self.numbers = itertools.count(1)
        self.claims: list[tuple[str, str, dict[str, Any] | None]] = []
        self.calls: list[Claim] = []
        self.runs = {"replay": "", "discard": "", "undo": ""}
        self.answers: collections.Counter[str] = collections.Counter()
        """How often each step had which answer."""
        self.history: list[str] = []
        """Each step, for a reader."""

    def go(self, length: int) -> None:
        """Take the steps; compare Redis with the model and the rules after each."""
        for step in self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length):
            getattr(self, step)()
            compare(self.client, self.model, self.base, self.ledger.digests)

    def fresh(self, what: str) -> str:
        return f"{what}-{next(self.numbers):012}"

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def likely(self, found: Iterable[str]) -> Any:
        """Return one of these keys where there are any, now and then any other."""
        return self.one(*([*found] * 4 + [*KEYS]))

    def dead(self, *, discarded: bool = False) -> Any:
        """Return a key, most likely a dead one's."""
        return self.likely(
            key
            for key, code in self.model.codes.items()
            if code.state == "dead" and code.discarded == discarded
        )

    def latest(self, found: list[Any]) -> Any:
        """Return one of the last few, most often the last."""
        return found[-1 - min(int(self.random.expovariate(0.6)), len(found) - 1)]

    def said(self, step: str, answer: Any, expected: Any, *facts: Any) -> None:
        self.answers[f"{step} {answer}"] += 1
        self.history.append(" ".join(map(str, (f"{self.model.now} s:", step, *facts, "->", answer))))
        assert answer == expected, step

    # -- claims

    def ask(self, key: str, token: str, message: dict[str, Any] | None) -> None:
        if message is None:
            claim = self.ledger.resume(key, token=token, worker="w")
        else:
            claim = self.ledger.claim(message["voice_code"], token=token, worker="w", task_id="t")
        expected, attempt = self.model.claim(key, token, message)
        self.said(
            "claim", claim.answer.value, expected, key, token, "by hint" if message is None else message
        )
        self.claims.append((key, token, message))
        if claim.answer is Answer.CALL:
            code = self.model.codes[key]
            assert (claim.attempt, claim.submissions) == (attempt, attempt - code.life)
            assert (claim.rings, claim.turned_away) == (code.ambiguous, code.turned_away)
            assert (claim.streak, claim.replays, claim.spent) == (code.streak, code.replays, code.spent)
            assert abs(claim.seconds_left - (code.expires_at - self.model.now)) < DRIFT_SECONDS
            self.calls.append(claim)

    def message(self) -> None:
        """Look at a message."""
        key, code = self.one(*KEYS), self.one(*["0001"] * 9, "0002")
        life, wait = self.one(None, None, None, 20, 60), self.one(0, 0, 0, 0, 30)
        # A little before the moment in whole seconds, so that rounding never makes it later than
        # the clock.
        start = math.floor(self.base * 1000) / 1000 + self.model.now - 0.002
        voice_code = VoiceCode(
            key=key,
            mobile=MOBILES[key],
            code=code,
            expires_at=None if life is None else start + life,
            not_before=start + wait if wait else None,
        )
        now = self.model.now
        message = {
            "voice_code": voice_code,
            "digest": self.ledger.digests.content(voice_code.mobile, voice_code.code),
            "mobile": voice_code.mobile,
            "purpose": "",
            "expires_at": None if life is None else now + life,
            "not_before": now + wait if wait else None,
        }
        self.ask(key, self.fresh("token"), message)

    def hint(self) -> None:
        """Look at a hint, a true one or a stale one."""
        self.ask(self.likely(self.model.due), self.fresh("token"), None)

    def repeat_claim(self) -> None:
        """Have a claim reach Redis once more, with the same token."""
        if self.claims:
            self.ask(*self.latest(self.claims))

    # -- ends of attempts

    def finish(self) -> None:
        """End an attempt: the latest, one whose claim was lost, or one that was finished before."""
        if not self.calls:
            return
        claim: Claim = self.latest(self.calls)
        if self.chance(0.67):  # the third one will be repeated
            self.calls.remove(claim)
        word, ambiguous = (
            self.one("accepted", "accepted", "accepted", "retry", "retry", "retry", "dead", "dead"),
            self.chance(0.33),
        )
        delay, spends = self.one(0, 10, 30), self.one("", "", "40501")
        row: Row = RESET if ambiguous and word != "accepted" else ROWS[word]
        if word == "retry" and row is not RESET:
            row = self.one(row, REFUSED, BUSY)
        reason = Reason.AMBIGUOUS if row.kind is Kind.AMBIGUOUS else Reason.PERMANENT
        decisions: dict[str, Decision] = {
            "accepted": Done(),
            "retry": RetryIn(delay, spends),
            "dead": GiveUp(reason),
        }
        reply = (
            Reply(symptom=row.symptom)
            if row.symptom
            else Reply(code=row.code, voice_id="1" if word == "accepted" else None)
        )
        answer = self.ledger.finish(
            Outcome(claim=claim, reply=reply, row=row, decision=decisions[word], worker="w")
        ).recorded.value
        code = claim.voice_code
        outcome = {
            "word": word,
            "row": row.name,
            "scope": row.scope.value,
            "kind": row.spends.value,
            "delay": delay,
            "reason": reason.value,
            "spends": spends if word == "retry" else "",
            "digest": self.ledger.digests.content(code.mobile, code.code) if code else "",
        }
        self.said(
            "finish",
            answer,
            self.model.finish(claim.key, claim.token, claim.attempt, outcome),
            claim.key,
            claim.token,
            word,
        )

    # -- time, upkeep

    def pass_time(self) -> None:
        """Let the clock go on."""
        self.model.now += self.one(10, 10, 20, 30, 40)
        self.ledger.clock_offset = self.model.now
        self.removal.clock_offset = self.model.now

    def outage_ends(self) -> None:
        """Begin or end the while after an outage in which leases hold longer."""
        self.availability.lenience = self.model.lenience = self.one(0, 0, 10)

    def upkeep(self) -> None:
        """Look what is due."""
        hints = self.chance(0.67)
        tidied = self.ledger.upkeep(token=self.fresh("upkeep"), hints=hints)
        hinted, buried = self.model.upkeep(hints=hints)
        assert tidied.missing == ()
        self.said("hinted", min(tidied.hinted, 1), min(hinted, 1))
        assert tidied.hinted == hinted
        self.said("expired", sorted((found.key, found.reason) for found in tidied.buried), sorted(buried))

    # -- the failure queue

    def refuse(self) -> None:
        """Look at a message that cannot be called."""
        which, key, own = self.one(*range(4)), self.one("a", "d", "d", "d"), self.one("own1", "own2")
        refused = Refused(
            key=key, reason="wrong", mobile=MOBILES[key] if which % 2 else "", raw=f"raw {which}"
        )
        answer, given = self.ledger.refuse(refused, own_id=own, task_id=own, reason="bad_input")
        digest = self.ledger.digests.raw(refused.raw)
        expected = self.model.refuse([key, own, "id:" + digest], digest, refused.mobile)
        self.said("refuse", answer is Refusal.NEW, expected[0], given)
        assert given == expected[1]

    def run_of(self, action: str) -> str:
        if self.chance(0.67) or not self.runs[action]:
            self.runs[action] = self.fresh(action)
        return self.runs[action]

    def replay(self) -> None:
        """Put a dead letter back; the same run may do it twice."""
        key, run, life = self.dead(), self.run_of("replay"), self.one(None, 60)
        flags: dict[str, Any] = {"ambiguous": self.chance(0.5), "superseded": self.chance(0.5)}
        answer = replay(
            self.client, SETTINGS, key, run, clock_offset=self.ledger.clock_offset, life_seconds=life, **flags
        )
        self.said("replay", answer, self.model.replay(key, run, life=life, **flags), key, run, life, flags)

    def discard(self) -> None:
        """Take it out of the failure queue."""
        key, run = self.dead(), self.run_of("discard")
        (statuses,) = self.removal.discard([key], run=run, operator="o")
        self.said("discard", by_value(statuses), {self.model.discard(key, run): 1}, key, run)

    def undo(self) -> None:
        """Take that back."""
        key, run = self.dead(discarded=True), self.run_of("undo")
        (statuses,) = self.removal.undo([key], run=run, operator="o")
        self.said("undo", by_value(statuses), {self.model.undo(key, run): 1}, key, run)

    def remove(self) -> None:
        """Purge it, as it was seen or after it changed."""
        key, as_seen = self.dead(), self.chance(0.5)
        died_at = float(self.client.zscore(names.DEAD, key) or 0)
        statuses = self.removal.remove(
            [(died_at if as_seen else died_at - 1, key)], run="r", operator="o", action="purge"
        )
        self.said(
            "remove", [status.value for status in statuses], [self.model.remove(key, as_seen=as_seen)], key
        )


def by_value(counts: collections.Counter[Any]) -> dict[str, int]:
    return {status.value: count for status, count in counts.items()}


WEIGHTS: Final = {
    "message": 18,
    "hint": 18,
    "repeat_claim": 4,
    "finish": 30,
    "pass_time": 16,
    "outage_ends": 2,
    "upkeep": 10,
    "refuse": 3,
    "replay": 14,
    "discard": 5,
    "undo": 6,
    "remove": 2,
}
"""How often each step is taken."""
