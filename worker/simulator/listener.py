"""Listener: the gateway's port, open, closed, or closed for a random share of the time."""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable
from typing import Final

SLICE_SECONDS: Final = 0.02
"""How often it draws anew whether the port is open."""
PORTS: Final = range(20_000, 32_000)
"""Below the ephemeral range: a client that reconnects to a closed port could otherwise connect to
itself."""
_TRIES: Final = 50


class Listener:
    """Accepts connections on one port. Closed, it refuses them, as a host without a server does."""

    def __init__(self, protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None) -> None:
        self._protocol: Final = protocol
        self._context: Final = context
        self._address: tuple[str, int] = ("", 0)
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._accepting: set[asyncio.Task[None]] = set()
        self._random = random.Random(0)
        self.refused_share = 0.0
        """Share of the time in which the port is closed: 0 open, 1 closed."""

    def listen(self, host: str, port: int) -> int:
        """Open the port, a free one for 0, and return it. Raises OSError if it is taken."""
        tries = [port] if port else random.sample(PORTS, _TRIES)
        for attempt in tries:
            self._address = host, attempt
            try:
                self._open()
            except OSError:
                if attempt == tries[-1]:
                    raise
            else:
                break
        return self._address[1]

    def refuse(self, share: float, *, seed: int = 0) -> None:
        """Close the port for a share of the time; 0 opens it for good. Raises ValueError."""
        if not 0 <= share <= 1:
            message = "share must be from 0 to 1"
            raise ValueError(message)
        self.refused_share = share
        self._random = random.Random(seed)
        if self._timer is not None:
            self._timer.cancel()
        self._draw()

    def close(self) -> None:
        """Stop for good."""
        if self._timer is not None:
            self._timer.cancel()
        self._shut()

    def _draw(self) -> None:
        refused = self._random.random() < self.refused_share
        if refused:
            self._shut()
        else:
            with contextlib.suppress(OSError):  # somebody took the port meanwhile: tried again below
                self._open()
        if 0 < self.refused_share < 1 or (not refused and self._socket is None):
            self._timer = asyncio.get_running_loop().call_later(SLICE_SECONDS, self._draw)

    def _open(self) -> None:
        if self._socket is not None:
            return
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        opened = socket.create_server(self._address, family=family, backlog=1024)
        opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._socket = opened
        asyncio.get_running_loop().add_reader(opened, self._accept)

    def _shut(self) -> None:
        """Accept what has connected already: the kernel would reset it with its form on the way."""
        if self._socket is None:
            return
        self._accept()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None

    def _accept(self) -> None:
        while self._socket is not None:
            try:
                accepted, _peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            accepted.setblocking(False)  # noqa: FBT003 - the same
            task = asyncio.get_running_loop().create_task(self._connect(accepted))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client left during the handshake
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(self._protocol, accepted, ssl=self._context)
