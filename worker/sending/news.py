"""News: the fleet's log lines. An incident gets one page, a line a minute, and one at its end."""

import time
from typing import Final

import structlog

from config.names import Event
from config.replies import ROWS, Mends, Row
from worker.sending.state import SPENDING_CAP, State
from worker.sending.verdict import Verdict

log = structlog.get_logger("voicecode.sending")

WIDENED: Final = "widened"
_RUNBOOKS: Final = {row.name: row.runbook for row in ROWS} | {SPENDING_CAP: "spending-cap"}


def move(verdict: Verdict, *, page: bool) -> None:
    """Log the fleet's new state. `page`: nobody was woken for this incident yet."""
    row = verdict.row
    runbook = _RUNBOOKS.get(row, "sending-stopped")
    if verdict.state is State.STOPPED and page:
        log.error(Event.SENDING_STOPPED, row=row, incident=verdict.incident, alert="page", runbook=runbook)
    elif verdict.state is State.STOPPED:
        log.warning(Event.SENDING_STOPPED, row=row, incident=verdict.incident, alert="warn", runbook=runbook)
    elif verdict.state is State.HELD:
        log.warning(Event.SENDING_HELD, by=verdict.by, alert="warn", runbook="sending-held")
    elif verdict.state is State.TRIAL:
        log.info(Event.SENDING_TRIAL, row=row)
    else:
        log.info(Event.SENDING_RESUMED, row=row, parked=verdict.parked, refused=verdict.refused)


def blocked(verdict: Verdict) -> None:
    """Log that this worker's account was refused while others go on."""
    row = verdict.blocked_by
    alert = "page" if verdict.pages_block else "warn"
    level = log.error if verdict.pages_block else log.warning
    level(Event.CONFIGURATION_BLOCKED, row=row, alert=alert, runbook=_RUNBOOKS.get(row, "sending-stopped"))


def minute(verdict: Verdict) -> None:
    """Count, once a minute, what a stop costs."""
    seconds = None if verdict.since is None else round(time.time() - verdict.since)
    log.warning(
        Event.SENDING_WAITS,
        state=verdict.state.value,
        row=verdict.row,
        incident=verdict.incident,
        seconds=seconds,
        parked=verdict.parked,
        refused=verdict.refused,
        alert="warn",
        runbook=_RUNBOOKS.get(verdict.row, "sending-stopped"),
    )


def fitness(unfit: Row | None, verdict: Verdict, before: Row | None, *, again: bool = False) -> None:
    """Log that this worker became unfit, or fit. `again`: it tried for itself, and met the same."""
    if unfit is None:
        log.info(Event.WORKER_FIT, row=before.name if before else "")
        return
    # If the whole fleet has stopped, that line pages, not this one.
    pages = unfit.mends is Mends.PERSON and verdict.state is State.SENDING and not again
    alert = "page" if pages else "warn"
    level = log.error if pages else log.warning
    level(Event.WORKER_UNFIT, row=unfit.name, alert=alert, runbook=unfit.runbook)
