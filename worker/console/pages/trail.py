"""Audit: who did what, newest first."""

import re
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from worker.console.web.ask import Ask, show
from worker.console.web.forms import Refused
from worker.failure_queue import audit

if TYPE_CHECKING:
    from worker.console.web.console import Console

_LISTED: Final = 50
_ID: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,10}")


def trail(console: "Console", ask: Ask) -> Response:
    """Show a part of the trail: all of it, or the lines of one key or one run."""
    key, run, before = ask.one("key").strip(), ask.one("run").strip(), ask.one("before")
    if before and not _ID.fullmatch(before):
        raise Refused(400, "refused.cursor")
    page = audit.read_page(
        console.client, key=key or None, run=run or None, before=before or None, limit=_LISTED
    )
    return show(console, ask, "audit.html", page=page, key=key, run=run)
