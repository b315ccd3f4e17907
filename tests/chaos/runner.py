"""One run: start the cluster, produce, break, replay, heal, drain, judge."""

import dataclasses
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import redis

from config import names
from tests.chaos.cluster import Cluster
from tests.chaos.evidence import gather, strays
from tests.chaos.faults import Faults
from tests.chaos.judge import Verdict, judge
from tests.chaos.plan import Options
from worker.failure_queue import Choice, FailureQueue
from worker.store.availability import RedisUnavailable
from worker.store.client import connect

_DRAIN_SECONDS: Final = 30.0
"""Beyond the longest life of a code."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a run."""

    options: Options
    verdict: Verdict
    faults: dict[str, int]
    seconds: float
    left: dict[str, int]
    """What still waits after draining, and where."""
    strays: tuple[str, ...]
    """Keys of dead letters that nobody produced."""

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.kept and not any(self.left.values()) and not self.strays

    @property
    def figures(self) -> dict[str, Any]:
        """Everything that was counted."""
        run = {"seed": self.options.seed, "seconds": round(self.seconds, 1), "workers": self.options.workers}
        rest = {"left after draining": self.left, "dead letters of nobody": len(self.strays)}
        return {
            **run,
            "faults": sum(self.faults.values()),
            "faults by kind": self.faults,
            **self.verdict.figures,
            **rest,
        }


class Replayer(threading.Thread):
    """An operator who replays dead letters at random while everything breaks."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="replayer", daemon=True)
        self._options = cluster.options
        self._over = threading.Event()
        self._chance = random.Random(cluster.options.seed)
        self._client = connect(cluster.settings(), retries=0)
        self._queue = FailureQueue(self._client, cluster.settings(), operator="chaos")

    def run(self) -> None:
        """Replay one now and then until `stop`."""
        while not self._over.wait(1 / self._options.replays_per_second):
            try:
                self._replay_one()
            except (RedisUnavailable, redis.RedisError, OSError):
                continue

    def _replay_one(self) -> None:
        found: Any = self._client.zrandmember(names.DEAD)
        if found:
            life = self._options.life_seconds if self._chance.random() < 0.7 else None
            ambiguous = self._chance.random() < 0.5
            list(self._queue.replay([found], Choice(ambiguous=ambiguous, life_seconds=life)))

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()
        self._client.close()


def run(options: Options, folder: Path | None = None) -> Report:
    """Carry out one run.

    `folder` keeps logs and files; without one they are removed. Raises AssertionError if the
    cluster fails.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="voicecode-chaos-") as temporary:
            return run(options, Path(temporary))
    began = time.monotonic()
    with Cluster(options, folder) as cluster:
        faults = Faults(cluster)
        replayer = Replayer(cluster)
        replayer.start()
        _break(cluster, faults)
        faults.wait()
        cluster.end_producing(60)
        replayer.stop()
        cluster.gateway.client.rates({})
        left = cluster.drain(options.life_seconds + _DRAIN_SECONDS)
        histories, nobodys = gather(cluster), strays(cluster)
        deadline = cluster.settings().attempt_deadline_seconds
    verdict = judge(histories, deadline_seconds=deadline, redis_away=faults.redis_away)
    raised = sum("raised" in entry for entry in cluster.produced())
    verdict.figures["publishes that raised"] = raised
    if verdict.violations:
        dump = [
            json.dumps({"violation": sentence, **history.shown()}, default=str)
            for sentence, history in verdict.violations
        ]
        (folder / "violations").write_text("\n".join(dump))
    return Report(
        options=options,
        verdict=verdict,
        faults=dict(sorted(faults.done.items())),
        seconds=time.monotonic() - began,
        left=left,
        strays=tuple(sorted(nobodys)),
    )


def _break(cluster: Cluster, faults: Faults) -> None:
    """Produce, and begin each fault at its moment."""
    cluster.start_producing()
    start = time.monotonic()
    for fault in cluster.options.schedule():
        time.sleep(max(0.0, start + fault.at - time.monotonic()))
        faults.begin(fault)
    time.sleep(max(0.0, start + cluster.options.seconds - time.monotonic()))
