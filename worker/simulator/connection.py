"""One connection to the simulator: reads requests, and sends each response piece by piece."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from worker.simulator.bodies import HTML
from worker.simulator.control import PREFIX
from worker.simulator.wire import BadRequest, Ending, Head, http_reply, read_head

if TYPE_CHECKING:
    from worker.simulator.server import Simulator

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing sends RST in place of FIN."""
_RESET_BEFORE_READING: Final = "reset_before_reading"


class Connection(asyncio.Protocol):
    """One connection, one request at a time. `control`: it came in on the control port."""

    def __init__(self, simulator: "Simulator", *, control: bool = False) -> None:
        self._simulator = simulator
        self._control = control
        self._buffer = bytearray()
        self._head: Head | None = None
        self._busy = False
        self._controlling = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._peer = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        self._transport = transport
        self._peer = tuple(transport.get_extra_info("peername")[:2])
        if not self._control:
            self._simulator.connections.add(self)
            self._simulator.connections_opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and whatever was still to be sent."""
        del exc
        self._simulator.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and begin a reply when a request is complete."""
        self._buffer += data
        if not self._busy:
            self._next()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def drop_unless_controlling(self) -> None:
        """Reset the connection unless it carried a control request."""
        if not self._controlling:
            self._end(Ending.RESET)

    def _next(self) -> None:
        if self._head is None:
            try:
                self._head = read_head(self._buffer)
            except BadRequest:
                self._transport.write(http_reply(400, b"", HTML, "Connection: close"))
                self._transport.close()
                return
            if self._head is None:
                return
            self._controlling = self._head.path.startswith(PREFIX)
            if self._simulator.outage == _RESET_BEFORE_READING and not self._controlling:
                # Only as an outage is the form still unread; a scenario for one number has read it.
                self._end(Ending.RESET)
                return
        if len(self._buffer) < self._head.length:
            return
        head, self._head = self._head, None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        self._busy = True
        peer = (head.address or self._peer[0], self._peer[1])
        response = self._simulator.answer(head, body, peer, only_control=self._control)
        ending = response.ending if head.keep_alive or response.ending is Ending.RESET else Ending.CLOSE
        self._send(response.steps, ending)

    def _send(self, steps: tuple[tuple[float, bytes], ...], ending: Ending) -> None:
        """Send the steps that need no pause, and leave the rest to a timer."""
        for index, (pause, data) in enumerate(steps):
            if pause:
                rest = ((0.0, data), *steps[index + 1 :])
                self._timer = asyncio.get_running_loop().call_later(pause, self._send, rest, ending)
                return
            self._transport.write(data)
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.RESET:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
        elif ending is Ending.CLOSE:
            self._transport.close()
        else:
            self._busy = False
            if self._buffer:
                self._next()
