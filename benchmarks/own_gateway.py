"""A gateway that says yes.

`python -m benchmarks.own_gateway [--latency S] [--cert FILE]`; prints its port.

A protocol on asyncio's own loop, with a reply that was written beforehand. It notes when each
request was complete. `GET /count`: requests so far. `GET /arrivals`: a line for each, epoch seconds
and number. `GET /peak`: the most at one time.
"""

import argparse
import asyncio
import re
import ssl
import time
from typing import Final

BODY: Final = b'{"code":2,"msg":"ok","smsid":"16842079209571524017"}'
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
REPLY: Final = HEAD % len(BODY) + BODY
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MOBILE: Final = re.compile(rb"mobile=(\d+)")


class Journal:
    """What was asked for."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, bytes]] = []
        self.replied = 0
        self.peak = 0

    def note(self, body: bytes) -> None:
        """Take a request."""
        found = _MOBILE.search(body)
        self.arrivals.append((time.time(), found[1] if found else b"-"))
        self.peak = max(self.peak, len(self.arrivals) - self.replied)

    def tell(self, path: bytes) -> bytes:
        """Answer a question of the benchmark's."""
        if path == b"/arrivals":
            return b"".join(b"%.6f %s\n" % arrival for arrival in self.arrivals)
        return b"%d\n" % (self.peak if path == b"/peak" else len(self.arrivals))


class Connection(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, journal: Journal, latency: float) -> None:
        self._journal = journal
        self._latency = latency
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server's
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._rest, 0, end + 2)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < stop:
                return
            request, self._rest = self._rest[:stop], self._rest[stop:]
            self._take(request, request[end + 4 :])

    def _take(self, request: bytes, body: bytes) -> None:
        if request.startswith(b"GET"):
            told = self._journal.tell(request.split(b" ", 2)[1])
            self._transport.write(HEAD % len(told) + told)
            return
        self._journal.note(body)
        if self._latency:
            self._loop.call_later(self._latency, self._reply)
        else:
            self._reply()

    def _reply(self) -> None:
        self._journal.replied += 1
        self._transport.write(REPLY)


async def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--cert", help="PEM file with key and certificate: speak TLS")
    chosen = parser.parse_args()
    context = None
    if chosen.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chosen.cert)
    journal = Journal()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(journal, chosen.latency), "127.0.0.1", 0, ssl=context, backlog=1000
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
