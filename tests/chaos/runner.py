"""One run: start the cluster, produce, break, replay, heal, drain, judge."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.chaos.cluster import Cluster
from tests.chaos.evidence import gather, strays
from tests.chaos.faults import Faults
from tests.chaos.fleet_evidence import gather_fleet
from tests.chaos.fleet_judge import judge_fleet
from tests.chaos.judge import Verdict, judge
from tests.chaos.operators import Replayer, Resumer
from tests.chaos.plan import Options

_DRAIN_SECONDS: Final = 30.0
"""Beyond the longest life of a code."""
_RESUME_SECONDS: Final = 75.0
"""The longest wait after failed trials, and a trial that nobody asks for a call."""


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
    fleet: tuple[str, ...]
    """Promises of the fleet as a whole that were broken."""

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.kept and not (any(self.left.values()) or self.strays or self.fleet)

    @property
    def figures(self) -> dict[str, Any]:
        """Everything that was counted."""
        run = {"seed": self.options.seed, "seconds": round(self.seconds, 1), "workers": self.options.workers}
        rest = {
            "left after draining": self.left,
            "dead letters of nobody": len(self.strays),
            "fleet": self.fleet,
        }
        return {
            **run,
            "faults": sum(self.faults.values()),
            "faults by kind": self.faults,
            **self.verdict.figures,
            **rest,
        }


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
        replayer, resumer = Replayer(cluster), Resumer(cluster)
        replayer.start()
        resumer.start()
        _break(cluster, faults)
        faults.wait()
        cluster.end_producing(60)
        replayer.stop()
        cluster.gateway.client.rates({})
        left = cluster.drain(options.life_seconds + _DRAIN_SECONDS)
        cluster.wait_sending(_RESUME_SECONDS)
        resumer.stop()
        fleet = gather_fleet(cluster, faults.held_back)
        histories, nobodys = gather(cluster), strays(cluster)
        deadline = cluster.settings().attempt_deadline_seconds
    verdict = judge(histories, deadline_seconds=deadline, redis_away=faults.redis_away)
    fleet_broken = judge_fleet(histories, fleet)
    verdict.figures.update(fleet.figures)
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
        fleet=tuple(fleet_broken),
    )


def _break(cluster: Cluster, faults: Faults) -> None:
    """Produce, and begin each fault at its moment."""
    cluster.start_producing()
    start = time.monotonic()
    for fault in cluster.options.schedule():
        time.sleep(max(0.0, start + fault.at - time.monotonic()))
        faults.begin(fault)
    time.sleep(max(0.0, start + cluster.options.seconds - time.monotonic()))
