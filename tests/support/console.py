"""The console over real HTTP: its application on a port, and a browser of the simplest kind."""

import contextlib
import html
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urljoin

import requests

from config.settings import Settings
from worker.console.access import users
from worker.console.access.roles import Role
from worker.console.serve import bound, server_of
from worker.console.web.console import Console

PASSWORD = "a-password-of-the-tests"


class Visitor:
    """Follows no redirect by itself; sends what a browser sends with a form of the same site."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Accept-Language"] = "en"

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(urljoin(self.address, path), allow_redirects=False, timeout=20, **more)

    def post(self, path: str, headers: dict[str, str] | None = None, /, **fields: Any) -> requests.Response:
        sent = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
        sent = {"Content-Type": "application/x-www-form-urlencoded", **sent}
        url = urljoin(self.address, path)
        return self.session.post(url, data=fields, headers=sent, allow_redirects=False, timeout=20)

    def plan(self, **fields: Any) -> str:
        """Plan something, wait until the plan stands, and return its path."""
        answer = self.post("/act", **fields)
        assert answer.status_code == 303, answer.text
        path = answer.headers["Location"]
        self.wait(path, lambda page: "data-reload-after" not in page.text)
        return path

    def wait(self, path: str, condition: Any, seconds: float = 20.0) -> requests.Response:
        """Load a page again until something holds; return it."""
        end = time.monotonic() + seconds
        while not condition(page := self.get(path)):
            assert time.monotonic() < end, text_of(page)
            time.sleep(0.05)
        return page

    def log_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        return self.post("/login", name=name, password=password)


def text_of(page: requests.Response) -> str:
    """Return what a person reads."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", main)))


class RunningConsole:
    """A console in a thread."""

    def __init__(self, console: Console, port: int) -> None:
        self.console = console
        self.address = f"http://127.0.0.1:{port}"

    def visitor(self, role: str | None = None) -> Visitor:
        """Return somebody new; with a role, logged in as the user of that name."""
        visitor = Visitor(self.address)
        if role is not None:
            if self.console.people.users.get(role) is None:
                self.console.people.users.put(role, PASSWORD, Role(role))
            assert visitor.log_in(role).status_code == 303
        return visitor

    def owner(self) -> Visitor:
        """Return who opened the address that the command prints."""
        visitor = Visitor(self.address)
        assert visitor.get(f"/enter?token={self.console.token}").status_code == 303
        return visitor


@contextlib.contextmanager
def running(settings: Settings, *, host: str = "127.0.0.1") -> Iterator[RunningConsole]:
    """Serve on a free port of this host. `host`: as which it is to think of itself."""
    cheap = mock.patch.dict(users.COST, {"n": 2**10})  # a password is checked in a millisecond
    with cheap, contextlib.closing(bound("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        console = Console.build(settings, host=host, port=port)
        server = server_of(console)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield RunningConsole(console, port)
        finally:
            server.should_exit = True
            thread.join(20)
