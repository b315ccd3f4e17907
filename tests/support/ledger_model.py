"""What the ledger's scripts promise, in plain Python, with a clock of whole seconds.

The clock stands still between steps.
"""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

LEASE: Final = 30
HOLD: Final = 20
LIFE: Final = 100
MAX_ATTEMPTS: Final = 3
AMBIGUOUS_RETRIES: Final = 1


@dataclasses.dataclass(slots=True)
class Code:
    """One record."""

    digest: str
    mobile: str
    purpose: str
    expires_at: int
    state: str = "waiting"
    sendable: bool = True
    until: int | None = None
    lease_until: int | None = None
    attempt: int = 0
    life: int = 0
    token: str = ""
    ambiguous: int = 0
    ambiguous_from: int | None = None
    turned_away: int = 0
    streak: tuple[str, int] = ("", 0)
    ambiguous_total: int = 0
    deaths: int = 0
    replays: int = 0
    calls: int = 0
    spent: tuple[str, ...] = ()
    reason: str | None = None
    row: str | None = None
    scope: str | None = None
    act: str | None = None
    died_at: int | None = None
    discarded: bool = False
    told: dict[int, str] = dataclasses.field(default_factory=dict)
    """Attempt -> token of the finish that was written there."""

    def extend_streak(self, kind: str) -> None:
        """Count one more try that spent this."""
        known, count = self.streak
        self.streak = kind, count + 1 if known == kind else 1

    @property
    def queued(self) -> bool:
        """Whether it stands in the failure queue."""
        return self.state == "dead" and not self.discarded

    def indexes(self) -> list[str]:
        """Return the failure queue's indexes that it belongs into."""
        rung = "yes" if self.ambiguous_total else "no"
        found = [
            f"reason:{self.reason}",
            f"code:{self.row or 'none'}",
            f"scope:{self.scope or 'none'}",
            f"ambiguous:{rung}",
        ]
        return found + ([f"ends:{self.mobile[-4:]}"] if self.mobile else [])


class Model:
    """All records, and the two sets of moments. Answers are the scripts' own words."""

    def __init__(self) -> None:
        self.now = 0
        self.lenience = 0
        self.codes: dict[str, Code] = {}
        self.due: dict[str, int] = {}
        self.expiry: dict[str, int] = {}
        self.newest: dict[tuple[str, str], str] = {}
        self.hints: list[str] = []
        self.placed: collections.Counter[tuple[str, int]] = collections.Counter()
        """(key, life) -> claims that were told to call, each once."""
        self.free: collections.Counter[tuple[str, int]] = collections.Counter()
        """(key, life) -> those of them that never reached the gateway's judgement."""

    def claim(  # noqa: C901, PLR0911 - one return for each answer
        self, key: str, token: str, message: Mapping[str, Any] | None
    ) -> tuple[str, int]:
        """Return the answer, and with `call` the attempt."""
        code = self.codes.get(key)
        if code is None:
            if message is None:
                self._forget(key)
                return "missing", 0
            code = self._seen(key, message)
        elif message is not None and message["digest"] != code.digest:
            return "conflict", 0
        if code.state == "accepted":
            return "accepted", 0
        if code.state == "dead":
            return ("buried" if code.token == token else "dead"), 0
        if code.state == "calling":
            if code.token == token:
                return "call", code.attempt
            if self._in_call(code):
                return "busy", 0
            self._count_death(code)
        elif self.now < (code.until or 0):
            return "early", 0
        reason = self._spent_reason(code)
        if reason:
            self._bury(key, code, reason, token)
            return "buried", 0
        code.state, code.token, code.attempt = "calling", token, code.attempt + 1
        code.told.pop(code.attempt, None)
        code.lease_until = self.due[key] = self.now + LEASE
        self.expiry[key] = code.expires_at
        self.placed[key, code.replays] += 1
        return "call", code.attempt

    def _seen(self, key: str, message: Mapping[str, Any]) -> Code:
        code = self.codes[key] = Code(
            digest=message["digest"],
            mobile=message["mobile"],
            purpose=message["purpose"],
            expires_at=max(self.now, message["not_before"] or 0) + LIFE
            if message["expires_at"] is None
            else message["expires_at"],
        )
        before = self.codes.get(self.newest.get((code.mobile, code.purpose), ""))
        if before is None or before.expires_at <= code.expires_at:
            self.newest[code.mobile, code.purpose] = key
        if message["not_before"] is not None and message["not_before"] > self.now:
            code.until = self.due[key] = message["not_before"]
            self.expiry[key] = code.expires_at
        return code

    def finish(  # noqa: C901, PLR0911 - one return for each word
        self, key: str, token: str, attempt: int, outcome: Mapping[str, Any]
    ) -> str:
        """Return the script's word.

        `outcome`: word, row, scope, kind, delay, reason, spends, digest.
        """
        code = self.codes.get(key)
        if code and code.told.get(attempt) == token:
            return "done"
        if outcome["word"] == "accepted":
            if code is None:
                code = self.codes[key] = Code(
                    digest=outcome["digest"], mobile="", purpose="", expires_at=0, attempt=attempt
                )
            self._forget(key)
            if code.state != "accepted":
                code.told.clear()
            code.state, code.sendable = "accepted", False
            code.reason = code.died_at = code.row = None
            code.told[attempt] = token
            code.calls += 1
            return "accepted" if code.calls == 1 else "doubled"
        if code is None:
            return "gone"
        code.told[attempt] = token
        if code.state == "accepted":
            return "appended"
        if code.state != "calling" or code.token != token:
            return "fenced"
        code.row, code.scope = outcome["row"], outcome["scope"]
        kind = outcome["kind"]
        code.extend_streak(kind)
        if kind == "ring":
            code.ambiguous += 1
            code.ambiguous_total += 1
            code.ambiguous_from = code.ambiguous_from or attempt
        elif code.ambiguous_from is not None:
            code.ambiguous_from += 1
        code.life += kind in {"nothing", "place"}
        code.turned_away += kind == "place"
        self.free[key, code.replays] += kind in {"nothing", "place"}
        if outcome["spends"]:
            code.spent = (*code.spent, outcome["spends"])
        if outcome["word"] == "dead":
            self._bury(key, code, outcome["reason"], token)
            return "dead"
        code.state = "waiting"
        code.until = self.due[key] = self.now + outcome["delay"]
        return "waiting"

    def upkeep(self, *, hints: bool) -> tuple[int, list[tuple[str, str]]]:
        """Return how many were hinted, and (key, reason) of those that were buried."""
        buried = []
        for key in [key for key, moment in self.expiry.items() if moment <= self.now]:
            code = self.codes[key]
            if self._in_call(code):
                self.expiry[key] = max((code.lease_until or 0) + self.lenience, self.now + 1)
                continue
            if code.state == "calling":
                self._count_death(code)
            reason = "ambiguous" if code.ambiguous else "expired"
            self._bury(key, code, reason, f"upkeep{self.now}")
            buried.append((key, reason))
        hinted = 0
        for key in [key for key, moment in self.due.items() if hints and moment <= self.now]:
            code = self.codes[key]
            if self._in_call(code):
                self.due[key] = (code.lease_until or 0) + self.lenience
            else:
                self.due[key] = self.now + HOLD
                self.hints.append(key)
                hinted += 1
        return hinted, buried

    def refuse(self, candidates: list[str], digest: str, mobile: str) -> tuple[bool, str]:
        """Return whether it is new, and its key."""
        for key in candidates:
            code = self.codes.get(key)
            if code and code.digest == digest:
                return False, key
            if code is None:
                self.codes[key] = Code(
                    digest=digest, mobile=mobile, purpose="", expires_at=0, scope="message", sendable=False
                )
                self._bury(key, self.codes[key], "bad_input", "")
                return True, key
        return False, candidates[-1]

    def replay(self, key: str, token: str, *, ambiguous: bool, life: int | None, superseded: bool) -> str:
        """Return the script's word."""
        code = self.codes.get(key)
        if code is None:
            return "missing"
        if code.act == token:
            return "replayed"
        refusals = {
            "not_dead": not code.queued,
            "unsendable": not (code.sendable and code.mobile),
            "expired": life is None and code.expires_at <= self.now,
            "superseded": not superseded and self.newest.get((code.mobile, code.purpose), key) != key,
            "ambiguous": code.ambiguous_total > 0 and not ambiguous,
        }
        for word, refused in refusals.items():
            if refused:
                return word
        code.state, code.token, code.act, code.reason, code.died_at = "waiting", token, token, None, None
        code.life, code.ambiguous, code.ambiguous_from, code.deaths, code.spent = code.attempt, 0, None, 0, ()
        code.turned_away, code.streak = 0, ("", 0)
        code.replays += 1
        code.expires_at = code.expires_at if life is None else self.now + life
        code.until = self.due[key] = self.now
        self.expiry[key] = code.expires_at
        return "replayed"

    def discard(self, key: str, token: str) -> str:
        """Return the script's word."""
        code = self.codes.get(key)
        if code is None:
            return "missing"
        if code.discarded and code.act == token:
            return "discarded"
        if not code.queued:
            return "not_dead"
        code.discarded, code.act = True, token
        return "discarded"

    def undo(self, key: str, token: str) -> str:
        """Return the script's word."""
        code = self.codes.get(key)
        if code is None:
            return "missing"
        if code.state != "dead" or not code.discarded:
            return "restored" if code.act == token else "not_discarded"
        code.discarded, code.act = False, token
        return "restored"

    def remove(self, key: str, *, as_seen: bool) -> str:
        """Return the script's word."""
        code = self.codes.get(key)
        if code is None or not code.queued or not as_seen:
            return "changed"
        del self.codes[key]
        for placed in [placed for placed in self.placed if placed[0] == key]:
            del self.placed[placed]
        return "removed"

    def _in_call(self, code: Code) -> bool:
        return code.state == "calling" and self.now < (code.lease_until or 0) + self.lenience

    def _forget(self, key: str) -> None:
        self.due.pop(key, None)
        self.expiry.pop(key, None)

    def _bury(self, key: str, code: Code, reason: str, token: str) -> None:
        self._forget(key)
        code.state, code.reason, code.died_at, code.token, code.discarded = (
            "dead",
            reason,
            self.now,
            token,
            False,
        )

    @staticmethod
    def _count_death(code: Code) -> None:
        code.ambiguous += 1
        code.ambiguous_total += 1
        code.deaths += 1
        code.extend_streak("ring")
        code.ambiguous_from = code.ambiguous_from or code.attempt
        code.row, code.scope = "lease_over", "none"

    def _spent_reason(self, code: Code) -> str | None:
        if code.expires_at <= self.now:
            return "ambiguous" if code.ambiguous else "expired"
        if code.ambiguous > AMBIGUOUS_RETRIES:
            return "ambiguous"
        if code.attempt - code.life >= MAX_ATTEMPTS:
            return "ambiguous" if code.ambiguous else "exhausted"
        return None
