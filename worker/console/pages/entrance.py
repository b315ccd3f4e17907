"""Entrance: to log in by password or by the command's token, to log out, and how pages look."""

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import Response

from config.masking import mask_text
from config.names import Event
from worker.console.telling import times
from worker.console.telling.words import LANGUAGES
from worker.console.web.ask import Ask, go, show
from worker.console.web.forms import own_path

if TYPE_CHECKING:
    from worker.console.web.console import Console

log = structlog.get_logger("voicecode.console")

_YEAR_SECONDS: Final = 31_536_000
_LONGEST_PASSWORD: Final = 1024


def login(console: "Console", ask: Ask) -> Response:
    """Show the form. Somebody who is known goes where he wanted."""
    onward = own_path(ask.one("next", "/"))
    if ask.person is not None:
        return go(onward)
    empty = not console.people.opens_by_token and not console.people.users.all()
    return show(console, ask, "login.html", next=onward, problem="", name="", empty=empty)


def log_in(console: "Console", ask: Ask) -> Response:
    """Check name and password; a session begins with a token that no visitor brought."""
    onward, name = own_path(ask.one("next", "/")), ask.one("name").strip()[:64]
    wait = console.tries.wait_seconds(name, ask.address)
    found = None
    if not wait:
        found = console.people.by_password(name, ask.one("password")[:_LONGEST_PASSWORD])
    if found is None:
        about = {"operator": mask_text(name), "address": ask.address, "limited": bool(wait)}
        log.warning(Event.CONSOLE_REFUSED, **about)
        problem = ask.words("login.wait", seconds=wait) if wait else ask.words("login.wrong")
        status = 429 if wait else 401
        return show(console, ask, "login.html", status, next=onward, problem=problem, name=name, empty=False)
    user, token = found
    console.tries.forget(name, ask.address)
    log.info(Event.CONSOLE_LOGIN, operator=user.name, role=user.role.value, address=ask.address)
    return _with_session(console, ask, token, onward)


def enter(console: "Console", ask: Ask) -> Response:
    """Begin a session by the token that the command printed."""
    if console.tries.wait_seconds("token", ask.address):
        return go("/login")
    token = console.people.by_token(ask.one("token"))
    if token is None:
        return go("/login")
    console.tries.forget("token", ask.address)
    return _with_session(console, ask, token, own_path(ask.one("next", "/")))


def log_out(console: "Console", ask: Ask) -> Response:
    """End the session."""
    if cookie := ask.cookies.get(console.cookie):
        console.people.sessions.end(cookie)
    answer = go("/login")
    answer.delete_cookie(console.cookie, path="/", secure=console.secure, httponly=True, samesite="lax")
    return answer


def prefer(console: "Console", ask: Ask) -> Response:
    """Keep language, theme and zone in cookies."""
    answer = go(own_path(ask.one("back", "/")))
    chosen = {
        "voicecode_lang": ask.one("lang") if ask.one("lang") in LANGUAGES else None,
        "voicecode_theme": ask.one("theme") if ask.one("theme") in {"auto", "light", "dark"} else None,
        "voicecode_zone": ask.one("zone") if ask.one("zone") in times.ZONES else None,
    }
    for name, value in chosen.items():
        if value is not None:
            answer.set_cookie(
                name, value, max_age=_YEAR_SECONDS, path="/", secure=console.secure, samesite="lax"
            )
    return answer


def _with_session(console: "Console", ask: Ask, token: str, onward: str) -> Response:
    """Give the browser its new session, and end the one that it had."""
    if old := ask.cookies.get(console.cookie):
        console.people.sessions.end(old)
    answer = go(onward)
    # Lax: a link in a chat opens the page. What changes something is refused by `guard`.
    answer.set_cookie(console.cookie, token, path="/", secure=console.secure, httponly=True, samesite="lax")
    return answer
