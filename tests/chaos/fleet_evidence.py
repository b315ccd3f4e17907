"""What is known of the fleet after a run: moves from the audit trail, pages from the logs."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from config import names
from config.names import Event
from tests.chaos.cluster import Cluster
from worker.sending import Sending, State

_STATES = {state.value for state in State}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FleetEvidence:
    """Times are epoch seconds."""

    moves: tuple[tuple[float, str], ...]
    """When the fleet came to which state; it sends before the first."""
    pages: tuple[float, ...]
    """When a worker woke somebody because sending had stopped."""
    per_minute: int
    """Forms to one number; 0: no limit."""
    lease_seconds: float
    deadline_seconds: float
    """Of an attempt."""
    held_back: tuple[tuple[float, float], ...]
    """From when to when a connection to the gateway kept what was sent."""
    ended: str
    """The state in which everything well again has left it, and its row."""

    @property
    def figures(self) -> dict[str, Any]:
        """What was counted."""
        return {
            "stops of the fleet": sum(state == "stopped" for _, state in self.moves),
            "pages": len(self.pages),
        }


def gather_fleet(cluster: Cluster, held_back: Sequence[tuple[float, float]]) -> FleetEvidence:
    """Collect it."""
    settings = cluster.settings()
    with cluster.redis.client(decode_responses=True) as client:
        entries: Any = client.xrange(names.AUDIT)
        record = Sending.from_hash(client.hgetall(names.SENDING))
    pages = sorted(
        dt.datetime.fromisoformat(line["timestamp"]).timestamp()
        for worker in cluster.workers
        for line in worker.lines(Event.SENDING_STOPPED)
        if line.get("alert") == "page"
    )
    return FleetEvidence(
        moves=tuple(
            (int(moment.partition("-")[0]) / 1000, fields["action"])
            for moment, fields in entries
            if fields["action"] in _STATES
        ),
        pages=tuple(pages),
        per_minute=settings.number_per_minute,
        lease_seconds=settings.lease_seconds,
        deadline_seconds=settings.attempt_deadline_seconds,
        held_back=tuple(held_back),
        ended=f"{record.state.value} {record.row}" if record.state is not State.SENDING else "sending",
    )
