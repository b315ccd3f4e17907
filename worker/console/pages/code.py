"""Code: the life of one code as a timeline."""

import dataclasses
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import Response

from config.masking import mask_raw
from worker.console.telling.words import Words
from worker.console.web.ask import Ask, go, show
from worker.console.web.forms import Refused
from worker.failure_queue import audit

if TYPE_CHECKING:
    from config.replies import Row
    from worker.console.web.console import Console
    from worker.failure_queue.audit import AuditLine
    from worker.ledger.record import Attempt, Record

_LINES: Final = 50
_LONGEST_KEY: Final = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step of a life. `at`: epoch seconds. `foreign`: text that we did not write."""

    at: float
    what: str
    level: str = ""
    """good, bad, busy or empty."""
    facts: tuple[str, ...] = ()
    foreign: str = ""
    run: str = ""


def find(_: "Console", ask: Ask) -> Response:
    """Lead to the page of a key that somebody typed."""
    key = ask.one("key").strip()
    return go(f"/code/{quote(key, safe='')}" if key else "/dead")


def code(console: "Console", ask: Ask) -> Response:
    """Show it, in any state."""
    key = ask.parts["key"]
    queue = console.queue(ask.who.name)
    record = queue.show(key) if len(key) <= _LONGEST_KEY else None
    if record is None:
        raise Refused(404, "refused.key")
    # Nobody acted on it before it was seen, so the search through the trail has an end.
    trail = audit.read_page(console.client, key=key, limit=_LINES, seconds=0.08)
    rows = {row.name: row for row in console.replies.rows}
    return show(
        console,
        ask,
        "code.html",
        record=record,
        shape=mask_raw(record.raw),
        rows=rows,
        moments=life(record, trail.lines, rows, ask.words, now=ask.now),
        more=trail.before is not None,
    )


def life(
    record: "Record", lines: "tuple[AuditLine, ...]", rows: "dict[str, Row]", words: Words, *, now: float
) -> list[Moment]:
    """Return the steps of a life, the first one first."""
    found: list[Moment] = []
    if record.first_seen is not None:
        found.append(Moment(at=record.first_seen, what=words("life.seen")))
    found += [_attempt(one, rows, words) for one in record.attempts if one.started_at is not None]
    found += [
        Moment(at=line.at, what=words.of("life", line.action), facts=(line.operator,), run=line.run)
        for line in lines
    ]
    if record.accepted_at is not None and record.state == "accepted":
        found.append(Moment(at=record.accepted_at, what=words("life.accepted"), level="good"))
    if record.died_at is not None and record.state == "dead":
        why = words("life.dead", reason=words.of("reason", record.reason))
        facts = (words("life.unsubmitted", row=record.row),) if record.unsubmitted else ()
        found.append(Moment(at=record.died_at, what=why, level="bad", facts=facts, foreign=record.detail))
    if record.state == "waiting" and record.next_attempt_at is not None:
        found.append(Moment(at=record.next_attempt_at, what=words("life.next"), level="busy"))
    if record.expires_at is not None:
        what = words("life.expires" if record.expires_at > now else "life.expired")
        found.append(Moment(at=record.expires_at, what=what))
    return sorted(found, key=lambda moment: moment.at)


def _attempt(one: "Attempt", rows: "dict[str, Row]", words: Words) -> Moment:
    row = rows.get(one.row)
    meaning = words.row(row) if row else one.row
    level = "good" if one.kind == "accepted" else "busy" if one.ambiguous or not one.row else "bad"
    what = words("life.attempt", number=one.number, row=one.row or words("life.running"))
    facts = [meaning] if meaning else []
    if one.elapsed_seconds is not None:
        facts.append(words.duration(one.elapsed_seconds))
    if one.http_status is not None:
        facts.append(f"HTTP {one.http_status}")
    if one.ambiguous:
        facts.append(words("life.may_have_rung"))
    facts += [one.worker] if one.worker else []
    return Moment(
        at=one.started_at or 0.0,
        what=what,
        level=level,
        facts=tuple(facts),
        foreign=one.reply_message or one.detail,
    )
