"""What a night is: an incident, the fleet's goal in it, and the figures that came out."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tests.support.workers import SHORT_TIMES

if TYPE_CHECKING:
    from tests.nights.fleet import Fleet


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast time goes.

    Incidents, lives and the workers' own times are scaled by the same factor.
    """

    scale: float = 1.0
    slack_seconds: float = 0.0
    """Seconds added to each limit on time: a loaded machine does not scale."""
    shortest_life: float = 0.0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of the workers."""

    def seconds(self, full: float) -> float:
        """Return how long something lasts."""
        return full * self.scale

    def limit(self, full: float) -> float:
        """Return how long something may take."""
        return full * self.scale + self.slack_seconds

    def life(self, full: float) -> float:
        """Return the life of a code."""
        return max(full * self.scale, self.shortest_life)


FULL: Final = Pace()
"""Default settings and full durations."""
_AS_BY_DEFAULT: Final = ("number_per_minute", "stop_sending", "unfit_after")
"""Other tests switch these off; the nights test them."""
SHORT: Final = Pace(
    scale=0.1,
    slack_seconds=12.0,
    shortest_life=60.0,
    settings={
        **{name: value for name, value in SHORT_TIMES.items() if name not in _AS_BY_DEFAULT},
        "backoff_scale": 0.1,
        "log_level": "INFO",
    },
)
"""For the ordinary tests: each night takes seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One figure beside its goal."""

    figure: str
    met: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One row of the table."""

    name: str
    """For `--only`."""
    incident: str
    goal: str
    run: Callable[["Fleet"], list[Check]]
    """Makes the night and returns its figures. Raises AssertionError if a step never comes."""
    gateway: tuple[str, ...] = ()
    """Further options of the simulator."""
    strict: bool = False
    """Whether the gateway's limits for one number hold (4080, and the account frozen by 408)."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings that differ from the defaults."""
