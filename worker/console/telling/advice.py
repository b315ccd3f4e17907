"""Advice: what the fleet's state means for people who wait for a code, and what to do now."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from config.replies import Action, Replies, Row
from worker.console.telling.words import Words
from worker.diagnosis.overview import Overview
from worker.sending.state import SPENDING_CAP, State


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One box at the top of the first page."""

    level: str
    """good, busy, bad or held."""
    title: str
    lines: tuple[str, ...] = ()
    plan: Mapping[str, str] | None = None
    """Fields of a form that plans a replay; None: there is nothing to replay now."""
    order: str = ""
    """`hold` or `resume`: what a person may order now; empty: nothing."""
    runbook: str = ""


_LEVELS: Final = {
    State.SENDING: "good",
    State.TRIAL: "busy",
    State.STOPPED: "bad",
    State.HELD: "held",
}


def advise(overview: Overview, replies: Replies, words: Words, *, row: str = "") -> Advice:
    """Return the advice. `row`: of the incident that the viewer came for, if an alert led here."""
    sending = overview.sending
    rows = {known.name: known for known in replies.rows}
    if not overview.reports:
        return Advice(
            level="bad",
            title=words("advice.no_worker"),
            lines=(words("advice.no_worker.do"),),
            runbook="heartbeat",
        )
    if sending.state is State.HELD:
        lines = (
            words("advice.held", who=sending.by or "?"),
            *([f"“{sending.note}”"] if sending.note else []),
        )
        return Advice(
            level="held",
            title=words("advice.held.title"),
            lines=lines,
            order="resume",
            runbook="sending-held",
        )
    cause = rows.get(row or sending.row)
    if sending.state is State.STOPPED:
        return _stopped(overview, rows.get(sending.row), words)
    if sending.state is State.TRIAL:
        return Advice(
            level="busy", title=words("advice.trial"), lines=(words("advice.trial.do"),), order="hold"
        )
    return _sending(overview, cause, words)


def _stopped(overview: Overview, row: Row | None, words: Words) -> Advice:
    sending = overview.sending
    runbook = row.runbook if row else "spending-cap" if sending.row == SPENDING_CAP else "sending-stopped"
    why = f"{row.name}: {words.row(row)}" if row else words.of("row", sending.row)
    title = words("advice.stopped", why=why)
    if sending.mends == "person":
        lines: tuple[str, ...] = (
            words("advice.person"),
            words.of("cure", runbook),
            words("advice.person.refused", count=sending.refused),
            words("advice.person.then"),
        )
        return Advice(level="bad", title=title, lines=lines, order="resume", runbook=runbook)
    empty = row is not None and row.action is Action.PARK
    lines = (
        words("advice.top_up" if empty else "advice.time"),
        words("advice.parked", count=sending.parked),
        words("advice.nothing_to_replay"),
    )
    return Advice(level="bad", title=title, lines=lines, runbook=runbook)


def _sending(overview: Overview, cause: Row | None, words: Words) -> Advice:
    title = words("advice.sending")
    unexpired = overview.dead.unexpired
    if cause is not None and cause.action is Action.PARK:
        again = words("advice.topped_up", row=cause.name)
        left = overview.waiting
        lines = (again, words("advice.returning", count=left) if left else words("advice.returned"))
        return Advice(level="good", title=title, lines=lines, order="hold", runbook=cause.runbook)
    if not unexpired:
        return Advice(level="good", title=title, lines=(words("advice.nothing"),), order="hold")
    died = cause is not None and overview.dead.by_code.get(cause.name, 0) > 0
    plan = {
        "kind": "replay",
        "sendable": "1",
        "canary": "1",
        **({"code": cause.name} if cause and died else {}),
    }
    return Advice(
        level="good",
        title=title,
        lines=(words("advice.alive", count=unexpired), words("advice.alive.do")),
        plan=plan,
        order="hold",
        runbook=cause.runbook if cause and died else "",
    )
