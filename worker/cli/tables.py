"""How results look: tables on a terminal, tab-separated lines in a pipe."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from config.masking import mask_mobile, mask_raw, mask_text
from worker.cli import layout
from worker.cli.layout import Column, one_line
from worker.cli.terminal import say
from worker.failure_queue.statuses import ReplayStatus
from worker.failure_queue.timestamps import duration, iso

if TYPE_CHECKING:
    from config.explain import Explained
    from worker.failure_queue import Choice, Entry, Plan, Stats
    from worker.failure_queue.audit import AuditLine
    from worker.failure_queue.drain import Drain
    from worker.ledger.record import Attempt, Record

_BAR = 30


def show_entries(entries: Sequence["Entry"]) -> None:
    """Print a list of dead letters."""
    layout.show(
        (
            Column(name="died", short=_short_time),
            Column(name="key"),
            Column(name="mobile", rank=2),
            Column(name="reason", rank=3),
            Column(name="code", rank=1),
            Column(name="message", rank=6),
            Column(name="attempts", right=True, rank=5),
            Column(name="rung", rank=4),
            Column(name="sendable"),
        ),
        (
            (
                iso(e.record.died_at),
                e.record.key,
                mask_mobile(e.record.mobile),
                e.record.reason,
                e.record.row,
                _message(e.record),
                e.record.tries,
                "maybe" if e.record.ambiguous else "no",
                "yes" if e.sendable else "no",
            )
            for e in entries
        ),
    )


def _short_time(text: str) -> str:
    """Return `01-31T03:12:07` of an ISO time: its year and zone can be done without."""
    return text[5:19]


def _message(record: "Record") -> str:
    if record.broken:
        return f"broken record: {', '.join(record.broken)}"
    if record.unsubmitted:
        return "not submitted"
    return mask_text(record.reply_message or record.detail)


def show_record(record: "Record", *, unmasked: bool = False) -> None:
    """Print one code: its facts, and the timeline of its attempts."""
    message = mask_text(record.reply_message)
    reply_code = "" if record.reply_code is None else str(record.reply_code)
    facts = {
        "key": record.key,
        "state": record.state + (" (discarded)" if record.discarded_at and record.state == "dead" else ""),
        "mobile": record.mobile if unmasked else mask_mobile(record.mobile),
        "purpose": record.purpose,
        "reason": record.reason,
        "reply": "" if record.unsubmitted else " ".join(filter(None, (record.row or reply_code, message))),
        "not submitted": f"sending had stopped by {record.row}" if record.unsubmitted else "",
        "detail": mask_text(record.detail),
        "first seen": iso(record.first_seen),
        "expires": iso(record.expires_at),
        "next attempt": iso(record.next_attempt_at) if record.state == "waiting" else "",
        "accepted": iso(record.accepted_at),
        "died": iso(record.died_at),
        "voice id": record.voice_id or "",
        "attempts": record.tries if record.tries and not record.attempts else "",
        "may have rung": f"{record.ambiguous} times" if record.ambiguous else "",
        "replays": record.replays or "",
        "broken": ", ".join(record.broken),
        "raw": (record.raw if unmasked else mask_raw(record.raw)),
    }
    for name, value in facts.items():
        if value != "":
            say(f"{name:<14} {one_line(value)}")
    if record.attempts:
        say("")
        layout.show(_ATTEMPT, (_attempt(a) for a in record.attempts))


_ATTEMPT: Final = (
    Column(name="attempt", right=True),
    Column(name="started", short=_short_time),
    Column(name="seconds", right=True, rank=2),
    Column(name="http", rank=3),
    Column(name="reply"),
    Column(name="message", rank=1),
    Column(name="rung"),
    Column(name="worker", rank=4),
)


def _attempt(attempt: "Attempt") -> tuple[Any, ...]:
    seconds = "" if attempt.elapsed_seconds is None else f"{attempt.elapsed_seconds:.3f}"
    rung = "maybe" if attempt.ambiguous else "yes" if attempt.kind == "accepted" else "no"
    message = mask_text(attempt.reply_message or attempt.detail)
    started = iso(attempt.started_at)
    return (
        attempt.number,
        started,
        seconds,
        attempt.http_status,
        attempt.row or "running",
        message,
        rung,
        attempt.worker,
    )


def show_stats(stats: "Stats") -> None:
    """Print the queue at a glance."""
    numbers = f"{stats.distinct_numbers:,} number{'s' * (stats.distinct_numbers != 1)}"
    say(f"{stats.total:,} dead letter{'s' * (stats.total != 1)} of {numbers}")
    say(f"oldest {iso(stats.oldest) or '-'}   newest {iso(stats.newest) or '-'}")
    say(
        f"{stats.unexpired:,} not expired, {stats.expired:,} expired;"
        f" {stats.ambiguous:,} may have rung already"
    )
    for title, counts in (("reason", stats.by_reason), ("code", stats.by_code), ("scope", stats.by_scope)):
        say(f"\nby {title}")
        for name, count in counts.items():
            bar = "█" * max(1, round(_BAR * count / max(counts.values())))
            say(f"  {one_line(name):<20} {count:>9,}  {bar}")


_MEANINGS = {
    ReplayStatus.SENDABLE: "will be replayed",
    ReplayStatus.EXPIRED: "expired: --expires-in DURATION gives them a new life",
    ReplayStatus.SUPERSEDED: "replaced by a newer code: --include-superseded replays them, too",
    ReplayStatus.AMBIGUOUS: "the phone may have rung already: --include-ambiguous replays them, too",
    ReplayStatus.UNSENDABLE: "hold no number or no code",
    ReplayStatus.RETIRED: "gave up their code, which nobody could use any more",
    ReplayStatus.NOT_DEAD: "have left the failure queue since",
    ReplayStatus.MISSING: "are not in the failure queue",
    ReplayStatus.NEWER: "were written by a later version of this program",
}


def show_plan(plan: "Plan", choice: "Choice", drain: "Drain") -> None:
    """Print what a replay would do, and what is feasible."""
    for status, meaning in _MEANINGS.items():
        if plan.counts[status] or status is ReplayStatus.SENDABLE:
            say(f"{status:<12} {plan.counts[status]:>9,}  {meaning}")
    if plan.keys:
        show_drain(drain)
    if choice.life_seconds is not None:
        life = f"{choice.life_seconds:g} s"
        warning = f"each gets a new life of {life}: only right if the web app still takes such old codes"
        say(f"WARNING: {warning}", err=True)
    if choice.ambiguous:
        say("WARNING: some phones may ring a second time", err=True)


def show_drain(drain: "Drain") -> None:
    """Print how fast the fleet would call a plan's codes, and what stands against it."""
    if drain.stopped:
        why = f"{drain.sending.state.value} by {drain.sending.row or drain.sending.by or 'a person'}"
        then = "become dead letters again" if drain.sending.mends == "person" else "wait"
        say(f"WARNING: sending is {why}: until it resumes they {then}", err=True)
    if drain.seconds is None:
        say("WARNING: no worker is live: nobody would call them", err=True)
        return
    fleet = f"{drain.workers} worker{'s' * (drain.workers != 1)}, {drain.slots:,} slots"
    say(f"at most {drain.per_second:,.0f} a second ({fleet}), about {duration(drain.seconds)} for all")
    if drain.expiring:
        say(f"WARNING: about {drain.expiring:,} of them expire before their turn", err=True)


def show_audit(lines: Sequence["AuditLine"]) -> None:
    """Print the audit trail."""
    layout.show(
        (
            Column(name="at", short=_short_time),
            Column(name="action"),
            Column(name="key"),
            Column(name="operator", rank=1),
            Column(name="run"),
            Column(name="reason", rank=4),
            Column(name="row", rank=3),
            Column(name="detail", rank=2),
        ),
        ((iso(a.at), a.action, a.key, a.operator, a.run, a.reason, a.row, a.detail) for a in lines),
    )


def show_settings(explained: "Explained") -> None:
    """Print every setting."""
    rows = [
        (s.variable, json.dumps(s.value) if isinstance(s.value, dict) else s.value, s.source)
        for s in explained.settings
    ]
    layout.show((Column(name="setting"), Column(name="value"), Column(name="from")), rows)


__all__ = [
    "show_audit",
    "show_entries",
    "show_plan",
    "show_record",
    "show_settings",
    "show_stats",
]
