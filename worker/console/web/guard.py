"""Guard: refuses forged and oversized requests before any page sees them, and adds the headers.

1. The address must name a host of ours: another one is a browser that was led here (rebinding).
2. A request from another site may only open a page, as a link in a chat does.
3. What changes something must come from a page of ours, by `Sec-Fetch-Site` and `Origin`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_QUERY: Final = 4_096
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer` a browser sends `Origin: null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_SAFE: Final = ("GET", "HEAD")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The hosts, with their ports, under which the console may be asked for."""

    allowed: frozenset[str]

    def knows(self, host: str) -> bool:
        """Tell whether a `Host` is ours."""
        return host.lower() in self.allowed


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, hosts: Hosts, *, secure: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = dict(HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(n.lower().encode(), v.encode()) for n, v in self._headers.items()]
                kept = () if b"cache-control" in present else ((b"cache-control", b"no-store"),)
                message["headers"] = [*message["headers"], *extra, *kept]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, why = self._problem(scope, headers)
        if status:
            refusal = PlainTextResponse(f"{why}\n", status_code=status)
            await refusal(scope, receive, sending)
            return
        await self._app(scope, receive, sending)

    def _problem(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return an HTTP status and a sentence, or 0."""
        host = headers.get("host", "")
        if not self._hosts.knows(host):
            return 421, "Unknown host. The console answers only to its own address: VOICECODE_CONSOLE_URL."
        if len(scope["query_string"]) > LONGEST_QUERY:
            return 414, "The address is too long."
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if scope["method"] in _SAFE:
            foreign = site in {"cross-site", "same-site"} and mode != "navigate"
            return (403, "Another site may only link to a page.") if foreign else (0, "")
        origin = headers.get("origin")
        ours = origin is not None and urlsplit(origin).netloc.lower() == host.lower()
        if site not in {None, "same-origin"} or (origin is not None and not ours) or not (site or origin):
            return 403, "This form was not sent from a page of the console."
        return 0, ""
