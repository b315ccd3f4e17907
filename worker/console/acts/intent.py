"""Intent: one action between its plan and its run, kept in Redis under a name nobody can guess.

It carries the filter, the moment of the plan and its count. It can be carried out once: whoever
comes second, by a double click or a reload, is led to the same run.
"""

import dataclasses
import enum
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import redis

from config import names

KEPT_SECONDS: Final = 3600
FRESH_SECONDS: Final = 900
"""A plan that is older must be made again."""
GROWTH: Final = 1.1
"""The count may grow by a tenth between the plan and the action."""
_DEAD_SECONDS: Final = 15
"""A step that has said nothing for this long died with its process."""
_PREFIX: Final = names.CONSOLE_PREFIX + "intent:"


class State(enum.StrEnum):
    """How far an intent has come."""

    PLANNING = "planning"
    PLANNED = "planned"
    STARTING = "starting"
    """It was confirmed; the plan is made again, to compare."""
    DONE = "done"
    """It has led to a run, or to a change of the fleet."""
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is chosen beside the filter."""

    ambiguous: bool = False
    superseded: bool = False
    life: float | None = None
    """Seconds of a new life."""
    rate: float | None = None
    """Codes a second."""
    canary: bool = False
    run: str = ""
    """To undo or to cancel."""
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One action of one person. Times are epoch seconds."""

    id: str
    kind: str
    who: str
    query: str
    """The filter, as in an address."""
    options: Options
    made_at: float
    state: State = State.PLANNING
    count: int = 0
    """How many it would act on."""
    total: int = 0
    """How many the filter selects."""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the plan found."""
    looked_at: int = 0
    beat: float = 0.0
    run: str = ""
    problem: str = ""
    """Why it was refused: a name in the table of texts."""

    @property
    def stale(self) -> bool:
        """The plan is too old to act on."""
        return time.time() - self.made_at > FRESH_SECONDS

    @property
    def died(self) -> bool:
        """The process that worked on it is gone."""
        busy = self.state in {State.PLANNING, State.STARTING}
        return busy and time.time() - max(self.beat, self.made_at) > _DEAD_SECONDS

    def allows(self, count: int) -> bool:
        """Tell whether an action on so many is still what was planned."""
        return count <= self.count * GROWTH

    @classmethod
    def from_hash(cls, name: str, kept: Mapping[str, str]) -> Self:
        """Read one."""
        return cls(
            id=name,
            kind=kept["kind"],
            who=kept["who"],
            query=kept["query"],
            options=Options(**json.loads(kept["options"])),
            made_at=float(kept["made_at"]),
            state=State(kept["state"]),
            count=int(kept.get("count", 0)),
            total=int(kept.get("total", 0)),
            facts=json.loads(kept.get("facts", "{}")),
            looked_at=int(kept.get("looked_at", 0)),
            beat=float(kept.get("beat", 0)),
            run=kept.get("run", ""),
            problem=kept.get("problem", ""),
        )


class Intents:
    """`client` decodes answers. Every method may raise redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def make(self, kind: str, who: str, query: str, options: Options) -> Intent:
        """Write down what somebody wants to have planned."""
        name = secrets.token_urlsafe(16)
        intent = Intent(id=name, kind=kind, who=who, query=query, options=options, made_at=time.time())
        kept = {
            "kind": kind,
            "who": who,
            "query": query,
            "options": json.dumps(dataclasses.asdict(options)),
            "made_at": repr(intent.made_at),
            "state": State.PLANNING.value,
        }
        pipe = self._client.pipeline()
        pipe.hset(_PREFIX + name, mapping=kept)
        pipe.expire(_PREFIX + name, KEPT_SECONDS)
        pipe.execute()
        return intent

    def get(self, name: str) -> Intent | None:
        """Return one; None if there is none of this name, or no longer."""
        kept = self._client.hgetall(_PREFIX + name)
        return Intent.from_hash(name, kept) if "kind" in kept else None

    def note(self, intent: Intent, **changed: Any) -> None:
        """Write down how far it has come."""
        kept = {
            name: json.dumps(value) if isinstance(value, dict) else str(value)
            for name, value in {**changed, "beat": time.time()}.items()
        }
        self._client.hset(_PREFIX + intent.id, mapping=kept)

    def claim(self, intent: Intent) -> bool:
        """Take the right to carry it out; return False if somebody has it already."""
        return bool(self._client.hsetnx(_PREFIX + intent.id, "claimed", "1"))
