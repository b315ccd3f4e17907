"""What every peer with `requests` does for one code: a bare POST of the form."""

import threading

import requests
import target


class _Own(threading.local):
    session: requests.Session | None = None


_own = _Own()


def post(mobile: str) -> None:
    """Post through this thread's session."""
    if _own.session is None:
        _own.session = requests.Session()
    _own.session.post(target.URL, data=target.form(mobile), timeout=30).raise_for_status()


def post_once(mobile: str) -> None:
    """Post as most code does, without a session."""
    requests.post(target.URL, data=target.form(mobile), timeout=30).raise_for_status()
