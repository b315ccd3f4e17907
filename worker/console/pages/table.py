"""Table: every address, with the right that it needs."""

from typing import Final

from worker.console.pages import acts, code, entrance, letters, now, runs, trail
from worker.console.web.router import Page

PAGES: Final = (
    Page(path="/", handler=now.now),
    Page(path="/figures", handler=now.figures),
    Page(path="/incident/{name}", handler=now.incident),
    Page(path="/dead", handler=letters.letters),
    Page(path="/find", handler=code.find),
    Page(path="/code/{key:path}", handler=code.code),
    Page(path="/runs", handler=runs.runs),
    Page(path="/runs/{run}", handler=runs.run),
    Page(path="/runs/{run}/file", handler=runs.file),
    Page(path="/audit", handler=trail.trail),
    Page(path="/act", handler=acts.plan, post=True),
    Page(path="/act/{id}", handler=acts.planned),
    Page(path="/act/{id}", handler=acts.confirm, post=True),
    Page(path="/login", handler=entrance.login, right=None),
    Page(path="/login", handler=entrance.log_in, right=None, post=True),
    Page(path="/enter", handler=entrance.enter, right=None),
    Page(path="/logout", handler=entrance.log_out, right=None, post=True),
    Page(path="/preferences", handler=entrance.prefer, right=None, post=True),
)
