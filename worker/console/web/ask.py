"""Ask: one request as a page sees it, and the answers that a page may give."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worker.console.access.people import Person
from worker.console.access.roles import Right
from worker.console.telling import times
from worker.console.telling.words import LANGUAGES, Words
from worker.console.web import view
from worker.console.web.forms import Fields

if TYPE_CHECKING:
    from worker.console.web.console import Console


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `here`: path and query. `parts`: of the path. `address`: of the other end."""

    path: str
    here: str
    query: Fields
    form: Fields
    parts: Mapping[str, str]
    cookies: Mapping[str, str]
    person: Person | None
    words: Words
    zone: dt.tzinfo
    theme: str
    address: str
    now: float

    @property
    def who(self) -> Person:
        """Who asks, on a page for people who are known."""
        assert self.person is not None  # noqa: S101 - the router lets no stranger pass
        return self.person

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a field of the form, else of the address."""
        return (self.form.get(name) or self.query.get(name) or [default])[-1]

    def may(self, right: str) -> bool:
        """Tell whether the person has a right, by its name."""
        return self.person is not None and self.person.may(Right(right))

    def time(self, epoch_seconds: float | None) -> Markup:
        """Return a time as HTML."""
        return view.time_of(epoch_seconds, self.zone, self.words, self.now)


Handler = Callable[["Console", Ask], Response]


def show(console: "Console", ask: Ask, template: str, status: int = 200, **values: Any) -> Response:
    """Answer with a page."""
    text = console.templates.get_template(template).render(
        ask=ask,
        t=ask.words,
        time=ask.time,
        languages=LANGUAGES,
        zones=times.ZONES,
        zone=times.name_of(ask.zone),
        by_token=console.people.opens_by_token,
        **values,
    )
    return HTMLResponse(text, status)


def go(path: str) -> Response:
    """Answer with another address, to be fetched by GET."""
    return RedirectResponse(path, 303)
