"""Router: finds the page, asks who it is and whether he may, and turns errors into pages."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import redis
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.masking import mask_text
from config.names import Event
from worker.console.access.people import Person
from worker.console.access.roles import Right
from worker.console.telling import times, words
from worker.console.web.ask import Ask, Handler, go, show
from worker.console.web.forms import Fields, Refused, read_form, read_query

if TYPE_CHECKING:
    from worker.console.web.console import Console

log = structlog.get_logger("voicecode.console")

THEMES: Final = ("", "light", "dark")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One address. `right`: what it needs; None: strangers may, too."""

    path: str
    handler: Handler
    right: Right | None = Right.SEE
    post: bool = False


def route(console: "Console", page: Page) -> Route:
    """Return Starlette's route of a page."""

    async def endpoint(request: Request) -> Response:
        form: Fields = {}
        problem: Refused | None = None
        try:
            form = await read_form(request) if page.post else {}
        except Refused as refused:
            problem = refused
        return await run_in_threadpool(_answer, console, page, request, form, problem)

    return Route(page.path, endpoint, methods=["POST"] if page.post else ["GET"])


def _answer(
    console: "Console", page: Page, request: Request, form: Fields, problem: Refused | None
) -> Response:
    ask = stranger(console, request, form)
    try:
        if problem is not None:
            raise problem  # noqa: TRY301 - answered below
        ask = dataclasses.replace(
            ask, query=read_query(request.url.query), person=person_of(console, request)
        )
        if page.right is not None and ask.person is None:
            return _to_login(ask, get=not page.post)
        if page.right is not None and not ask.who.may(page.right):
            raise Refused(403, "refused.role", role=ask.words.of("role", ask.who.role))  # noqa: TRY301 - the same
        if page.right is not None and not page.post and (clean := _without_numbers(ask)) is not None:
            return go(clean)
        return page.handler(console, ask)
    except Refused as refused:
        return failed(console, ask, refused.status, ask.words(refused.text, **refused.values))
    except redis.RedisError as error:
        log.warning(Event.CONSOLE_FAILED, path=page.path, cause=type(error).__name__, runbook="redis-away")
        return failed(console, ask, 503, ask.words("refused.redis"))
    except Exception as error:
        log.exception(Event.CONSOLE_FAILED, path=page.path, cause=type(error).__name__)
        return failed(console, ask, 500, ask.words("refused.bug"))


def failed(console: "Console", ask: Ask, status: int, why: str) -> Response:
    """Answer with a page that says what is wrong."""
    answer = show(console, ask, "failed.html", status, why=why, code=status)
    if status == 503:  # noqa: PLR2004 - HTTP's
        answer.headers["Retry-After"] = "5"
    return answer


def stranger(console: "Console", request: Request, form: Fields) -> Ask:
    """Return a request of nobody yet."""
    cookies = request.cookies
    theme = cookies.get("voicecode_theme", "")
    query = request.url.query
    return Ask(
        path=request.url.path,
        here=request.url.path + (f"?{query}" if query else ""),
        query={},
        form=form,
        parts={name: str(value) for name, value in request.path_params.items()},
        cookies=cookies,
        person=None,
        words=words.choose(cookies.get("voicecode_lang", ""), request.headers.get("accept-language", "")),
        zone=times.zone(cookies.get("voicecode_zone", "")),
        theme=theme if theme in THEMES else "",
        address=request.client.host if request.client else "",
        now=console.clock(),
    )


def person_of(console: "Console", request: Request) -> Person | None:
    """Return who asks, None for a stranger. Raises redis.RedisError."""
    return console.people.find(request.headers, request.cookies.get(console.cookie, ""))


def _to_login(ask: Ask, *, get: bool) -> Response:
    return go(f"/login?next={quote(ask.here, safe='')}" if get and ask.here != "/" else "/login")


def _without_numbers(ask: Ask) -> str | None:
    """Return the address without a whole number that somebody typed; None if it holds none."""
    masked: Mapping[str, list[str]] = {
        name: [mask_text(value) for value in values] for name, values in ask.query.items()
    }
    if masked == ask.query:
        return None
    return f"{ask.path}?{urlencode([(n, v) for n, values in masked.items() for v in values])}"
