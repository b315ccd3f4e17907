"""Serve: the console on a port, until SIGTERM or Ctrl-C."""

import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Final

import structlog
import uvicorn

from config.names import Event
from config.settings import LOOPBACK, Settings
from worker.console.app import build
from worker.console.web.console import Console

log = structlog.get_logger("voicecode.console")

_MOST_AT_ONCE: Final = 300
_GRACE_SECONDS: Final = 3


class NotServedError(Exception):
    """The console cannot be served so. The text says why, and what helps."""


def serve(settings: Settings, host: str, port: int, said: Callable[[str, bool], None]) -> None:
    """Serve. `said`: called with the address to open, and whether nobody can log in yet.

    Raises NotServedError, and OSError if the port is taken.
    """
    if host not in LOOPBACK and settings.console_url is None:
        message = (
            "to serve other hosts, set VOICECODE_CONSOLE_URL to the address that people open;"
            " they log in as users: voicecode console user add NAME"
        )
        raise NotServedError(message)
    with contextlib.closing(bound(host, port)) as listening:
        console = Console.build(settings, host=host, port=listening.getsockname()[1])
        server = server_of(console)
        said(*_invitation(console, host, listening.getsockname()[1]))
        log.info(Event.CONSOLE_STARTED, host=host, port=listening.getsockname()[1])
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when it has ended
        server.run(sockets=[listening])


class Server(uvicorn.Server):
    """Ends the streams of those who look before it waits for their connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self.config.app.state.live.stopping.set()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def server_of(console: Console) -> Server:
    """Return a server that writes no log of addresses, and says nothing of itself."""
    config = uvicorn.Config(
        build(console),
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        http="h11",
        ws="none",
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return Server(config)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # whoever opens the printed address at once is served soon
    except OSError:
        listening.close()
        raise
    return listening


def _invitation(console: Console, host: str, port: int) -> tuple[str, bool]:
    shown = f"[{host}]" if ":" in host else host
    if console.token is not None:
        return f"http://{shown}:{port}/enter?token={console.token}", False
    proxied = console.settings.console_proxy_secret is not None
    return console.settings.console_url or "", not proxied and not console.people.users.all()
