"""Connections to the gateway. No step blocks past the deadline, and nothing is sent after it.

The sockets themselves ask the exchange before each read: the time-out of requests holds for each
`recv`, so a header that arrives byte by byte would outlive it.
"""

import errno
import math
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from worker.gateway.exchange import Exchange, Stage, Stopped, current
from worker.gateway.resolver import Address

if TYPE_CHECKING:
    _SocketBase = socket.socket
    _ConnectionBase = HTTPConnection
else:
    _SocketBase = _ConnectionBase = object


_KEEP_ALIVE: Final = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?([0-9]{1,9})\b", re.IGNORECASE)
KEEP_ALIVE_MARGIN_SECONDS: Final = 1.0
"""How long before its announced end a connection is given up. The server's clock starts when its
reply leaves, and the next form must still arrive in time."""


def announced_seconds(keep_alive: str | None) -> float:
    """Return how long the server keeps an idle connection; infinity if the header does not say."""
    found = _KEEP_ALIVE.search(keep_alive or "")
    return float(found[1]) if found else math.inf


class _Timed(_SocketBase):
    """A socket whose reads end at the deadline."""

    def recv_into(self, *args: Any) -> int:
        exchange = _needed()
        self.settimeout(exchange.time_left(exchange.read_seconds))
        try:
            return super().recv_into(*args)
        except TimeoutError:
            raise exchange.out_of_time() from None

    def recv(self, *args: Any) -> bytes:
        exchange = _needed()
        self.settimeout(exchange.time_left(exchange.read_seconds))
        try:
            return super().recv(*args)
        except TimeoutError:
            raise exchange.out_of_time() from None


class TimedSocket(_Timed, socket.socket):
    """A plain socket whose reads end at the deadline."""


class TimedTLSSocket(_Timed, ssl.SSLSocket):
    """The same over TLS.

    OpenSSL's own loops, the handshake among them, keep to the socket's time-out as a whole.
    """

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of ssl
        """Shake hands within the connect time-out."""
        exchange = _needed()
        exchange.stage = Stage.HANDSHAKING
        try:
            self.settimeout(exchange.time_left(exchange.connect_seconds))
        except Stopped:
            self.close()
            raise
        super().do_handshake(block)


class _Deadlined(_ConnectionBase):
    """What both kinds of connection do differently from urllib3."""

    _reusable_until: float = 0.0
    """On the monotonic clock."""
    _outgoing: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again.

        A NAT may have dropped an idle connection silently, or the gateway may be about to close
        it. A form that crosses with the close is lost, and nobody knows whether the phone rang.
        """
        return super().is_connected and time.monotonic() <= self._reusable_until

    def connect(self) -> None:
        super().connect()
        _needed().stage = Stage.READY

    def request(self, *args: Any, **options: Any) -> None:
        """Connect, collect the whole request, check the deadline, then send it in one piece."""
        exchange = _needed()
        if self.sock is None:
            self.connect()
        self._outgoing = []
        try:
            super().request(*args, **options)
            request = b"".join(self._outgoing)
        finally:
            self._outgoing = None
        self.sock.settimeout(exchange.time_left(exchange.read_seconds))
        exchange.leave()
        try:
            super().send(request)
        except TimeoutError:
            raise exchange.out_of_time() from None

    def send(self, data: Any) -> None:
        if self._outgoing is None:
            super().send(data)
        else:
            self._outgoing.append(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # urllib3's own departure
        response = super().getresponse()
        announced = announced_seconds(response.headers.get("Keep-Alive")) - KEEP_ALIVE_MARGIN_SECONDS
        self._reusable_until = time.monotonic() + min(_needed().idle_seconds, announced)
        return response

    def _new_conn(self) -> socket.socket:
        exchange = _needed()
        exchange.enter(Stage.PROXYING if self.proxy else Stage.RESOLVING)
        try:
            addresses = exchange.resolver.addresses(self._dns_host, self.port, seconds=exchange.time_left())
        except TimeoutError:
            raise Stopped(exchange.stage.timed_out, "lookup took too long") from None
        except (OSError, UnicodeError) as error:
            raise Stopped(exchange.stage.failed, type(error).__name__) from None
        if not self.proxy:
            exchange.stage = Stage.CONNECTING
        problem = Stopped(exchange.stage.failed, "no address")
        for address in addresses:
            try:
                return _connect(address, exchange)
            except TimeoutError:
                problem = Stopped(exchange.stage.timed_out)
            except OSError as error:
                problem = Stopped(
                    exchange.stage.failed, errno.errorcode.get(error.errno or 0, type(error).__name__)
                )
        raise problem


class PlainConnection(_Deadlined, HTTPConnection):
    """One connection over http."""


class TLSConnection(_Deadlined, HTTPSConnection):
    """One connection over https."""


class PlainPool(HTTPConnectionPool):
    """The pool of connections over http."""

    ConnectionCls = PlainConnection


class TLSPool(HTTPSConnectionPool):
    """The pool of connections over https."""

    ConnectionCls = TLSConnection


POOLS: Final = {"http": PlainPool, "https": TLSPool}


def _connect(address: Address, exchange: Exchange) -> socket.socket:
    family, where = address
    sock = TimedSocket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(exchange.time_left(exchange.connect_seconds))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _needed() -> Exchange:
    exchange = current()
    if exchange is None:
        message = "a timed connection is used outside an exchange"
        raise RuntimeError(message)
    return exchange
