"""Pager: decides which of the lines with `alert=page` wakes somebody.

1. The first line of a kind asks Redis. If no worker has paged for that kind, it stays a page.
2. While the incident lasts, further lines are warnings that name it, and are counted.
3. Once a minute one worker logs the count, and one line at the end.

A kind is the row of a reply, or else the event. If Redis does not answer, the line pages:
rather once too often. The fleet's own two lines page once by `sending/report.lua`.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
import structlog
from structlog.typing import EventDict, WrappedLogger

from config import names
from config.names import Event
from worker.process.periodic import Periodic
from worker.store import scripts
from worker.store.scripts import Script

log = structlog.get_logger("voicecode.incidents")

LOOK_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 10.0
"""Between two looks of a worker that has nothing to count: to end what others began."""
_ANSWER_SECONDS: Final = 1.0
"""A line waits no longer for another thread's question: the answer has the incident's name."""
_FLEETS_OWN: Final = {Event.SENDING_STOPPED, Event.CONFIGURATION_BLOCKED}
_OURS: Final = {Event.INCIDENT_BEGAN, Event.INCIDENT_LASTS, Event.INCIDENT_ENDED}


@dataclasses.dataclass(slots=True)
class _Open:
    """An incident as this worker knows it."""

    runbook: str
    began: float
    """Epoch seconds."""
    noted_at: float
    """On the monotonic clock, when Redis last heard of it from here."""
    count: int = 0
    """Lines that Redis has not heard of."""
    paged: bool = False
    """This worker paged without an answer of Redis."""
    asked: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Redis has said when it began, or has not answered."""


class Pager:
    """`client`: of its own, and quick to give up: a line in the log waits for it.

    `then`: called with each line that was judged. It must not wait.
    """

    def __init__(
        self,
        client: redis.Redis,
        quiet_seconds: float,
        *,
        clock_offset: float = 0.0,
        then: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self.clock_offset = clock_offset
        self._client = client
        self._then = then
        self._script = Script(client, "incidents/note")
        self._quiet_seconds = quiet_seconds
        self._fresh_seconds = min(10.0, quiet_seconds / 2)
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self.thread = Periodic("pager", self.look, min(LOOK_SECONDS, quiet_seconds / 4))

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        """Let a line page, or make it a warning that names its incident. A structlog processor."""
        self._judge(line)
        self._then(line)
        return line

    def _judge(self, line: EventDict) -> None:
        event = str(line.get("event"))
        if line.get("alert") != "page" or event in _FLEETS_OWN or event in _OURS:
            return
        kind = str(line.get("row") or event)
        with self._lock:
            incident = self._open.get(kind)
            asks = incident is None or time.monotonic() - incident.noted_at > self._fresh_seconds
            if incident is None:
                incident = _Open(str(line.get("runbook", "")), time.time(), time.monotonic())
                self._open[kind] = incident
            incident.count += 1
            if asks:
                incident.noted_at = time.monotonic()
        pages = asks and self._first(kind, incident)
        incident.asked.wait(_ANSWER_SECONDS)
        line["incident"] = name_of(kind, incident.began)
        if not pages:
            line["alert"] = "warn"

    def look(self) -> None:
        """Tell Redis what was counted, and log what it asks for."""
        now = time.monotonic()
        with self._lock:
            pending = {kind: found for kind, found in self._open.items() if found.count}
            for kind in [k for k, o in self._open.items() if now - o.noted_at > self._quiet_seconds]:
                self._open.pop(kind, None)
        if not pending and now - self._looked_at < min(_IDLE_SECONDS, self._quiet_seconds / 2):
            return
        self._looked_at = now
        try:
            began = self._note(pending)
        except redis.RedisError:
            return  # upkeep logs it, and the counts stay
        for kind in began:
            # It had ended, or Redis forgot it, while lines of it were made warnings here.
            incident = pending[kind]
            facts = {"incident": name_of(kind, incident.began), "alert": "page"}
            log.error(Event.INCIDENT_BEGAN, **facts, runbook=incident.runbook)

    def _first(self, kind: str, incident: _Open) -> bool:
        """Return whether nobody has paged for it. Without an answer: yes, once."""
        try:
            return kind in self._note({kind: incident})
        except redis.RedisError:
            first, incident.paged = not incident.paged, True
            return first
        finally:
            incident.asked.set()

    def _note(self, pending: dict[str, _Open]) -> set[str]:
        """Send counts, log what the answer asks for, and return the kinds that have just begun."""
        arguments: list[Any] = []
        with self._lock:
            counts = {kind: incident.count for kind, incident in pending.items()}
            for kind, incident in pending.items():
                arguments += [kind, incident.runbook, counts[kind], "1" if incident.paged else "0"]
        answer = self._script(
            [names.INCIDENTS],
            clock_offset=self.clock_offset,
            version=names.RECORD_VERSION,
            quiet_seconds=self._quiet_seconds,
            noted=arguments,
        )
        began = set()
        for part in answer:
            kind, word, since, count, seconds, runbook = (scripts.text(value) for value in part)
            facts = {
                "incident": name_of(kind, float(since)),
                "count": int(count),
                "seconds": round(float(seconds)),
            }
            if word == "ended":
                log.info(Event.INCIDENT_ENDED, **facts)
                with self._lock:
                    self._open.pop(kind, None)
            if word == "minute":
                log.warning(Event.INCIDENT_LASTS, **facts, alert="warn", runbook=runbook)
            if word == "page":
                began.add(kind)
            if kind in pending and word != "ended":
                with self._lock:
                    pending[kind].count -= counts[kind]
                    pending[kind].paged = False
                    pending[kind].began, pending[kind].noted_at = float(since), time.monotonic()
                    self._open.setdefault(kind, pending[kind])
        return began


def name_of(kind: str, began: float) -> str:
    """Return an incident's name. `began`: epoch seconds."""
    return f"{kind}-{began:.0f}"
