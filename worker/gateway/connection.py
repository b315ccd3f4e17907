"""Connections to the gateway: no step blocks past the exchange's deadline, and nothing leaves after it.

The sockets themselves ask the exchange before each read. A time-out of `requests` is one for each `recv`, so a header
that drips would outlive it.
"""

import errno
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


class _Timed(_SocketBase):
    """Reads that end when the exchange's time does."""

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
    """A plain socket whose reads end when the exchange's time does."""


class TimedTLSSocket(_Timed, ssl.SSLSocket):
    """The same over TLS. OpenSSL's own loops, the handshake among them, keep to the socket's time-out as a whole."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
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
    """What both kinds of connection do differently from urllib3's."""

    _used_at: float = 0.0
    _outgoing: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Tell whether it may be used again. One that was idle for long may have been dropped silently on the way."""
        return super().is_connected and time.monotonic() - self._used_at <= _needed().idle_seconds

    def connect(self) -> None:
        super().connect()
        _needed().stage = Stage.READY

    def request(self, *args: Any, **options: Any) -> None:
        """Connect, form the whole request, check the time, and only then let it go, in one piece."""
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
        self._used_at = time.monotonic()
        return response

    def _new_conn(self) -> socket.socket:
        exchange = _needed()
        exchange.stage = Stage.PROXYING if self.proxy else Stage.RESOLVING
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
        message = "a connection of ours is used outside an exchange"
        raise RuntimeError(message)
    return exchange
