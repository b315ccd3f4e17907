"""Now: whether people are being called."""

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from worker.console.samples import sample_of
from worker.console.telling.advice import advise
from worker.console.telling.curves import HEIGHT, WIDTH, Curve
from worker.console.web.ask import Ask, go, show
from worker.console.web.view import told

if TYPE_CHECKING:
    from worker.console.samples import Hour
    from worker.console.web.console import Console
    from worker.diagnosis.overview import Overview

_WORKERS: Final = 20
_ROW: Final = re.compile(r"[0-9a-z_/]{1,32}")
_INCIDENT: Final = re.compile(r"([A-Za-z0-9_./]{1,40})-([0-9]{9,11})")


def now(console: "Console", ask: Ask) -> Response:
    """Show the fleet, the advice, and the hour."""
    return show(console, ask, "now.html", **facts(console, ask))


def figures(console: "Console", ask: Ask) -> Response:
    """Return the figures of the page as JSON, for the script."""
    return JSONResponse(live(console, ask))


def incident(_: "Console", ask: Ask) -> Response:
    """Lead from an alert's link to the page that helps."""
    found = _INCIDENT.fullmatch(ask.parts["name"])
    row = ask.one("row") or (found[1] if found else "")
    known = row if _ROW.fullmatch(row) and row != "sending" else ""
    return go(f"/?{urlencode({'row': known})}" if known else "/")


def facts(console: "Console", ask: Ask) -> dict[str, Any]:
    """Return what the template needs."""
    snapshot = console.latest.read()
    overview, row = snapshot.overview, ask.one("row") if _ROW.fullmatch(ask.one("row")) else ""
    hour = console.samples.hour(sample_of(snapshot))
    return {
        "overview": overview,
        "advice": advise(overview, console.replies, ask.words, row=row),
        "curves": curves(hour),
        "width": WIDTH,
        "height": HEIGHT,
        "texts": texts(overview, ask),
        "workers": overview.reports[:_WORKERS],
        "at": snapshot.now,
        "row": row,
    }


def curves(hour: "Hour") -> dict[str, Curve]:
    """Return the drawn curves by name."""
    return {
        "seen": hour.rate(lambda sample: sample.seen),
        "accepted": hour.rate(lambda sample: sample.accepted),
        "dead": hour.rate(lambda sample: sample.dead),
        "wait": hour.quantile(lambda sample: sample.wait, 0.99),
        "submission": hour.quantile(lambda sample: sample.submission, 0.99),
    }


def texts(overview: "Overview", ask: Ask) -> dict[str, str]:
    """Return the figures as texts, by name: the template and the script show the same."""
    words, sending = ask.words, overview.sending
    oldest = overview.due.oldest_seconds
    queued = overview.oldest_expires_in
    age = "" if queued is None else words("now.oldest_expires" if queued > 0 else "now.oldest_expired")
    calling = overview.calling.count if overview.calling else 0
    return {
        "state": words.of("state", sending.state.value),
        "queue": f"{overview.queue.count:,}",
        "queue_note": age.format(duration=words.duration(abs(queued or 0))),
        "calling": f"{calling:,}",
        "due": f"{overview.due.count:,}",
        "due_note": "" if oldest is None else words("now.oldest", duration=words.duration(oldest)),
        "waiting": f"{overview.waiting:,}",
        "parked": f"{sending.parked:,}" if sending.offer == "sms" else "0",
        "dead": f"{overview.dead.total:,}",
        "dead_note": words("now.unexpired", count=overview.dead.unexpired),
        "balance": "?" if overview.balance is None else f"{overview.balance:,}",
        "workers": f"{len(overview.reports):,}",
        "workers_note": words(
            "now.fit", count=sum(not (worker.unfit or worker.blocked) for worker in overview.reports)
        ),
    }


def live(console: "Console", ask: Ask) -> dict[str, Any]:
    """Return what changes on the page while somebody looks."""
    snapshot = console.latest.read()
    overview = snapshot.overview
    row = ask.one("row") if _ROW.fullmatch(ask.one("row")) else ""
    advice = advise(overview, console.replies, ask.words, row=row)
    return {
        "texts": texts(overview, ask),
        "advice": {
            "level": advice.level,
            "title": told(advice.title),
            "lines": [told(x) for x in advice.lines],
        },
        "reload": [advice.level, advice.plan is not None, advice.order],
        "curves": {
            name: {"lines": curve.lines, "last": shown(curve, name, ask)}
            for name, curve in curves(console.samples.hour(sample_of(snapshot))).items()
        },
    }


def shown(curve: Curve, name: str, ask: Ask) -> str:
    """Return the latest value as a text."""
    if curve.last is None:
        return "–"
    if name in {"wait", "submission"}:
        return "≤ " + ask.words.duration(curve.last)
    return ask.words("now.a_minute", count=f"{curve.last:,.1f}")
