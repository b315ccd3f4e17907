"""Failure queue: dead letters by filter, counted by kind, and actions on all of them."""

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from worker.console.acts.query import FIELDS, query_of, wanted_of
from worker.console.web.ask import Ask, show
from worker.console.web.forms import Refused
from worker.failure_queue.contents import LOOKED_INTO

if TYPE_CHECKING:
    from worker.console.web.console import Console
    from worker.failure_queue import Filter

PER_PAGE: Final = 25
_FACETS: Final = ("reason", "code", "scope", "purpose")
_MOST: Final = 12
_TYPED: Final = ("since", "until", "ends", "text", "key", "rung")
"""Fields that only the form has: it stays open while one of them is filled."""


def letters(console: "Console", ask: Ask) -> Response:
    """Show one page of what the filter selects."""
    queue = console.queue(ask.who.name)
    wanted, problem = chosen(console, ask)
    page = facets = None
    if wanted is not None:
        try:
            page = queue.page(wanted, limit=PER_PAGE, cursor=ask.one("after") or None)
        except ValueError:
            raise Refused(400, "refused.cursor") from None
        facets = console.recent.get(query_of(ask.query), lambda: queue.facets(wanted))
    given = {name: ask.query.get(name, []) for name in FIELDS}
    return show(
        console,
        ask,
        "letters.html",
        200 if wanted is not None else 400,
        wanted=wanted,
        problem=problem,
        page=page,
        facets=facets,
        kinds={name: list(getattr(facets, name).items())[:_MOST] for name in _FACETS} if facets else {},
        rows={row.name: row for row in console.replies.rows},
        given=given,
        opened=any(given[name] != [] and given[name] != [""] for name in _TYPED),
        query=query_of(given),
        link=lambda **changed: f"/dead?{query_of(given, **changed)}",
        looked_into=LOOKED_INTO,
        right=_rights(ask, wanted),
    )


def chosen(console: "Console", ask: Ask) -> "tuple[Filter | None, str]":
    """Return the filter of the address, or None and why it cannot be used."""
    queue = console.queue(ask.who.name)
    try:
        wanted = wanted_of(ask.query, now=ask.now)
        queue.check(wanted)
    except ValueError as error:
        return None, str(error)
    return wanted, ""


def _rights(ask: Ask, wanted: "Filter | None") -> dict[str, Any]:
    everything = wanted is not None and wanted.empty
    return {
        "replay": ask.may("replay"),
        "risk": ask.may("risk"),
        "discard": ask.may("sweep" if everything else "discard"),
        "export": ask.may("export"),
    }
