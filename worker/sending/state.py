"""Sending: the fleet's record as a value. `state.lua` has the transitions."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Final

from config.replies import Kind, Mends, Row, Scope

CAP_PROBES: Final = {"4051": 40, "0": 1}
"""A stop that time can mend gets a trial after this many `probe_seconds`, whatever GetNum says."""
DEFAULT_CAP_PROBES: Final = 4
SPENDING_CAP: Final = "spending_cap"
"""The row of a fleet whose purse is empty."""


class State(enum.Enum):
    """Whether the fleet sends."""

    SENDING = "sending"
    STOPPED = "stopped"
    """No worker can send. Codes are parked, or become dead letters if a person must act."""
    TRIAL = "trial"
    """One code is tried, then ten."""
    HELD = "held"
    """A person stopped it."""


class Effect(enum.Enum):
    """What one reply says about the account and the way to the gateway."""

    NONE = "none"
    """Nothing that the fleet could learn from."""
    GOOD = "good"
    NOTED = "noted"
    """Good, and its moment is written down: now and then one of many."""
    NEUTRAL = "neutral"
    """It is about the message or the number."""
    FAILS = "fails"
    """The try failed in a way that other codes may share."""
    BLOCKS = "blocks"
    """The gateway refused the whole account."""


def effect_of(row: Row) -> Effect:
    """Return what the table's row says about the fleet."""
    if row.kind is Kind.ACCEPTED:
        return Effect.GOOD
    if row.mends is Mends.NOBODY:
        return Effect.NEUTRAL
    settled = row.kind is Kind.PERMANENT
    return Effect.BLOCKS if settled and row.scope is Scope.ACCOUNT else Effect.FAILS


def why(row: Row, probe_seconds: float) -> dict[str, Any]:
    """Return what the scripts keep of a row that makes a worker unfit or blocks a configuration."""
    return {
        "row": row.name,
        "mends": row.mends.value,
        "cap": CAP_PROBES.get(row.name, DEFAULT_CAP_PROBES) * probe_seconds,
        "scope": row.scope.value,
        "probe": probe_seconds,
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A worker that asks for a claim."""

    config: str = ""
    """Digest of what is configured: address, account, key and password mode."""
    host: str = ""
    """The machine whose address the gateway sees."""
    fit: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The record `{voice_codes}:sending`. Times are epoch seconds."""

    state: State = State.SENDING
    row: str = ""
    """What stopped it, as the table of replies names it."""
    mends: str = ""
    """`person` or `time`: who can end it."""
    since: float | None = None
    by: str = ""
    note: str = ""
    generation: int = 0
    failures: int = 0
    """Trials that failed since it was stopped."""
    parked: int = 0
    """Codes that were parked since it was stopped."""
    refused: int = 0
    """Codes that became dead letters without a submission since it was stopped."""

    @property
    def offer(self) -> str:
        """What a web app should offer: `voice`, or `sms` while nobody can be called."""
        return "sms" if self.state in {State.STOPPED, State.HELD} else "voice"

    @classmethod
    def from_hash(cls, values: Mapping[str, str]) -> "Sending":
        """Read the record; an empty one means sending."""
        return cls(
            state=State(values.get("state", "sending")),
            row=values.get("row", ""),
            mends=values.get("mends", ""),
            since=float(values["since"]) if values.get("since") else None,
            by=values.get("by", ""),
            note=values.get("note", ""),
            generation=int(values.get("generation", 0)),
            failures=int(values.get("failures", 0)),
            parked=int(values.get("parked", 0)),
            refused=int(values.get("refused", 0)),
        )
