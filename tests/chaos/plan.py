"""The plan: what a run consists of, and each fault's moment, drawn from the seed at the start."""

import dataclasses
import random
from collections.abc import Mapping
from typing import Any, Final

SCENARIOS: Final = {
    "0": 0.04,
    "http_503:1": 0.02,
    "accepted_then_reset": 0.02,
    "accepted_then_silent:2": 0.01,
    "reset_after_reading": 0.02,
    "accepted_then_504": 0.01,
    "truncated": 0.01,
    "slow:0.6": 0.02,
    "4030": 0.03,
}

KINDS: Final[Mapping[str, tuple[int, float, float]]] = {
    "worker.kill": (6, 0.1, 1.5),
    "worker.freeze": (4, 0.5, 3.2),
    "worker.freeze_and_kill": (3, 0.3, 1.0),
    "worker.terminate": (3, 0.0, 0.5),
    "redis.kill": (2, 0.1, 1.5),
    "redis.freeze": (2, 0.5, 7.0),
    "redis.full": (1, 0.3, 2.0),
    "redis_link.cut": (2, 0.2, 3.0),
    "redis_link.sever": (2, 0.0, 0.0),
    "redis_link.freeze": (2, 0.5, 7.0),
    "producer_link.cut": (1, 0.2, 2.0),
    "producer_link.freeze": (1, 0.5, 3.0),
    "gateway_link.cut": (2, 0.2, 2.0),
    "gateway_link.sever": (2, 0.0, 0.0),
    "gateway_link.freeze": (2, 0.5, 2.0),
    "gateway.kill": (3, 0.1, 1.5),
    "gateway.storm": (2, 0.5, 3.0),
    "gateway.lose": (2, 0.3, 1.5),
    "gateway.slow": (1, 0.5, 2.0),
    "gateway.hang": (1, 0.3, 1.5),
    "gateway.away": (2, 0.5, 4.0),
    "gateway.zeros": (1, 0.5, 3.0),
    "gateway.broken": (1, 0.3, 1.5),
    "gateway.web_page": (1, 0.3, 1.5),
    "gateway.account_empty": (1, 0.3, 1.5),
    "gateway.account_frozen": (1, 0.3, 1.5),
    "gateway.host_refused": (1, 0.5, 3.0),
}
"""kind -> weight, shortest and longest time that it lasts.

`worker.freeze` goes to two leases of the tests' settings, and the freezes of Redis go beyond the
socket time-out, so that scripts are executed twice.
"""

_SETTLED_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something breaks at a moment, and is mended after some time."""

    at: float
    """Seconds after the start."""
    kind: str
    seconds: float = 0.0
    """How long it lasts."""
    worker: int = 0
    """Which one, if the kind is about one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run. Durations are seconds, rates are per second."""

    seconds: float = 60.0
    """How long codes are produced and faults happen; healing and draining come after it."""
    seed: int = 1
    workers: int = 3
    rate: float = 12.0
    life_seconds: float = 25.0
    """Of each code."""
    duplicates: float = 0.03
    """Share of codes that the producer enqueues twice."""
    replays_per_second: float = 1.0
    fault_every_seconds: float = 2.5
    """On average."""
    faults: tuple[Fault, ...] | None = None
    """Instead of drawn ones."""
    scenarios: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(SCENARIOS))
    """What the gateway does by chance, with the share of submissions that meet it."""
    latency_seconds: float = 0.05
    """Of the gateway."""
    app: str = "worker"
    """The argument of `celery -A`."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the workers, beyond the short times of the tests."""

    def schedule(self) -> tuple[Fault, ...]:
        """Return the faults of the run in order."""
        return self.faults if self.faults is not None else draw(self)


def draw(options: Options) -> tuple[Fault, ...]:
    """Draw the faults from the seed; the same options give the same ones."""
    chance = random.Random(options.seed)
    weights = [weight for weight, _, _ in KINDS.values()]
    faults = []
    moment = _SETTLED_SECONDS
    while moment < options.seconds:
        kind = chance.choices(list(KINDS), weights)[0]
        _, shortest, longest = KINDS[kind]
        lasting, worker = chance.uniform(shortest, longest), chance.randrange(options.workers)
        faults.append(Fault(at=moment, kind=kind, seconds=lasting, worker=worker))
        moment += chance.uniform(0.2, 1.8) * options.fault_every_seconds
    return tuple(faults)
