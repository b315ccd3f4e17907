"""Samples: what the scripts had counted, four times a minute of the last hour.

The counters only grow, so that two samples give a rate. They are kept in Redis: a console that was
started again, or a second one, knows the hour at once. One console writes each sample.
"""

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

import redis

from config import names
from worker.console.telling.curves import Curve, draw
from worker.ledger.counters import Histogram
from worker.metrics.snapshot import Snapshot, Source

Kind = TypeVar("Kind")

EVERY_SECONDS: Final = 15
SPAN_SECONDS: Final = 3600.0
_KEPT: Final = int(SPAN_SECONDS / EVERY_SECONDS) + 1
_KEY: Final = names.CONSOLE_PREFIX + "samples"
_TURN: Final = names.CONSOLE_PREFIX + "samples:turn"
_GAP_SECONDS: Final = 4 * EVERY_SECONDS
"""A longer pause between two samples: nobody looked meanwhile, and the curve has a hole."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Counters at one moment. `at`: epoch seconds."""

    at: float
    seen: int
    accepted: int
    dead: int
    wait: Histogram
    """Seconds from first sight to the first call."""
    submission: Histogram


def sample_of(snapshot: Snapshot) -> Sample:
    """Return what a snapshot counts."""
    counted = snapshot.counters
    return Sample(
        at=snapshot.now,
        seen=counted.first_seen,
        accepted=counted.accepted,
        dead=sum(counted.dead.values()),
        wait=counted.first_call,
        submission=counted.submission,
    )


class Samples:
    """`client` decodes answers."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    def take(self, read: Callable[[], Snapshot]) -> bool:
        """Write one sample, unless another console has just done it; return whether it did."""
        if not self._client.set(_TURN, "1", nx=True, px=int(EVERY_SECONDS * 900)):
            return False
        text = json.dumps(dataclasses.asdict(sample_of(read())), separators=(",", ":"))
        pipe = self._client.pipeline()
        pipe.rpush(_KEY, text)
        pipe.ltrim(_KEY, -_KEPT, -1)
        pipe.expire(_KEY, int(2 * SPAN_SECONDS))
        pipe.execute()
        return True

    def hour(self, now: Sample) -> "Hour":
        """Return the curves up to this moment."""
        kept = [Sample(**json.loads(text)) for text in self._client.lrange(_KEY, 0, -1)]
        some = [sample for sample in kept if now.at - SPAN_SECONDS - EVERY_SECONDS < sample.at < now.at]
        # A minute a point: the picture has room for no more. The latest part stays fine.
        return Hour([*some[:-4:4], *some[-4:], now])


class Hour:
    """The curves of an hour, from samples in the order of time."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._pairs = list(itertools.pairwise(samples))
        self._now = samples[-1].at

    def rate(self, count: Callable[[Sample], int]) -> Curve:
        """Return how many a minute."""
        return self._drawn(lambda old, new: 60 * (count(new) - count(old)) / (new.at - old.at))

    def quantile(self, of: Callable[[Sample], Histogram], share: float) -> Curve:
        """Return a quantile in seconds, as the upper bound of its bucket."""
        return self._drawn(lambda old, new: quantile(of(old), of(new), share))

    def _drawn(self, value: Callable[[Sample, Sample], float | None]) -> Curve:
        points: list[tuple[float, float | None]] = []
        for old, new in self._pairs:
            # Counters that shrink were wiped: that step tells nothing.
            broken = new.at - old.at > 4 * _GAP_SECONDS or new.seen < old.seen or new.at <= old.at
            points.append((new.at, None if broken else value(old, new)))
        return draw(points, now=self._now, span_seconds=SPAN_SECONDS)


def quantile(old: Histogram, new: Histogram, share: float) -> float | None:
    """Return the bound below which a share of what came between lies; None if nothing came."""
    counts = {bound: count - old.get(bound, 0) for bound, count in new.items()}
    total = counts.get("+Inf", 0)
    if total <= 0:
        return None
    bounds = [bound for bound, count in counts.items() if count >= share * total]
    finite = [float(bound) for bound in bounds if bound != "+Inf"]
    return min(finite) if finite else max(float(bound) for bound in new if bound != "+Inf")


class Latest:
    """The latest snapshot, at most `seconds` old: ten viewers cost one look."""

    def __init__(self, source: Source, clock: Callable[[], float], seconds: float = 1.0) -> None:
        self._source = source
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: tuple[float, Snapshot] | None = None

    def read(self) -> Snapshot:
        """Return a snapshot. Raises redis.RedisError."""
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] > self._seconds:
                self._kept = None
                self._kept = (self._clock(), self._source.read())
            return self._kept[1]


class Recent:
    """What was computed within the last `seconds`: viewers of one list share its counts."""

    def __init__(self, clock: Callable[[], float], seconds: float = 5.0, most: int = 64) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, name: str, make: Callable[[], Kind]) -> Kind:
        """Return it, made afresh where it is older."""
        at, value = self._kept.get(name, (-self._seconds, None))
        if self._clock() - at < self._seconds and value is not None:
            return cast("Kind", value)
        made = make()
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = (self._clock(), made)
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return made
