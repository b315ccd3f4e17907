"""Acts: the form that plans, the plan, and the confirmation."""

import contextlib
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

import redis
from starlette.responses import Response

from worker.console.acts import query
from worker.console.acts.intent import Intent, Options, State
from worker.console.acts.kinds import KINDS, Kind, wanted
from worker.console.web.ask import Ask, go, show
from worker.console.web.forms import Refused
from worker.failure_queue import Choice
from worker.failure_queue.timestamps import rate, seconds

if TYPE_CHECKING:
    from worker.console.web.console import Console

_PLAN_PATIENCE: Final = 0.15
_ACT_PATIENCE: Final = 2.0
_LONGEST_NOTE: Final = 200


def plan(console: "Console", ask: Ask) -> Response:
    """Write down what somebody wants, begin to plan it, and lead him to the plan."""
    kind = KINDS.get(ask.one("kind"))
    if kind is None:
        raise Refused(400, "refused.kind")
    asked = query.query_of(ask.form) if kind.filtered else ""
    options = _options(console, ask)
    _check(console, ask, kind, options)
    intent = console.intents.make(kind.name, ask.who.name, asked, options)
    _wait(console.jobs.plan(intent), _PLAN_PATIENCE)
    return go(f"/act/{intent.id}")


def planned(console: "Console", ask: Ask) -> Response:
    """Show how far it is: being planned, planned, refused, or already done."""
    intent = _mine(console, ask)
    if intent.state is State.DONE:
        return go(f"/runs/{intent.run}" if intent.run else "/")
    return _page(console, ask, intent, 200, "")


def confirm(console: "Console", ask: Ask) -> Response:
    """Carry it out, once."""
    intent = _mine(console, ask)
    kind = KINDS[intent.kind]
    if not ask.who.may(kind.right(intent.options, wanted(intent))):
        raise Refused(403, "refused.role", role=ask.words.of("role", ask.who.role))
    if intent.state is State.PLANNED:
        if intent.stale:
            return _page(console, ask, intent, 409, ask.words("refused.stale"))
        if not intent.count:
            return _page(console, ask, intent, 409, ask.words("refused.nothing"))
        if kind.typed and ask.one("typed").replace(",", "").strip() != str(intent.count):
            return _page(console, ask, intent, 400, ask.words("refused.typed", count=intent.count))
        if console.intents.claim(intent):
            console.intents.note(intent, state=State.STARTING)
            _wait(console.jobs.carry_out(intent), _ACT_PATIENCE)
    return go(f"/act/{intent.id}")


def _page(console: "Console", ask: Ask, intent: Intent, status: int, problem: str) -> Response:
    kind = KINDS[intent.kind]
    may = ask.who.may(kind.right(intent.options, wanted(intent)))
    values = {"intent": intent, "kind": kind, "may": may, "problem": problem, "wanted": wanted(intent)}
    values["hours"] = f"{console.settings.discard_undo_hours:g}"
    return show(console, ask, "plan.html", status, **values)


def _mine(console: "Console", ask: Ask) -> Intent:
    intent = console.intents.get(ask.parts["id"])
    if intent is None:
        raise Refused(404, "refused.plan")
    if intent.who != ask.who.name:
        raise Refused(403, "refused.other")
    return intent


def _options(console: "Console", ask: Ask) -> Options:
    try:
        life, pace = ask.one("life").strip(), ask.one("rate").strip()
        options = Options(
            ambiguous=bool(ask.one("ambiguous")),
            superseded=bool(ask.one("superseded")),
            life=seconds(life if life[-1:].isalpha() else f"{life}s") if life else None,
            rate=rate(pace) if pace else None,
            canary=bool(ask.one("canary")),
            run=ask.one("run"),
            note=ask.one("note")[:_LONGEST_NOTE],
        )
        Choice(life_seconds=options.life).check(longest_life_seconds=console.settings.max_ttl_seconds)
    except ValueError as error:
        raise Refused(400, "refused.value", why=str(error)) from None
    return options


def _check(console: "Console", ask: Ask, kind: Kind, options: Options) -> None:
    """Refuse what the person may not do, or nobody can."""
    queue = console.queue(ask.who.name)
    try:
        chosen = query.wanted_of(ask.form if kind.filtered else {}, now=ask.now)
        queue.check(chosen)
    except ValueError as error:
        raise Refused(400, "refused.value", why=str(error)) from None
    if not ask.who.may(kind.right(options, chosen)):
        raise Refused(403, "refused.role", role=ask.words.of("role", ask.who.role))
    if kind.name in {"undo", "cancel"}:
        run = queue.runs.get(options.run)
        if run is None or (kind.name == "cancel" and run.needs_undo):
            raise Refused(404, "refused.run")


def _wait(begun: "Future[None]", patience: float) -> None:
    """Wait a moment: most plans are ready at once, and the next page then shows them."""
    with contextlib.suppress(TimeoutError, redis.RedisError):
        begun.result(patience)
