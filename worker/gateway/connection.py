"""Connections to the gateway: no step blocks past the attempt's deadline, and nothing leaves after it.

The sockets themselves ask the attempt before each read. A time-out of `requests` is one for each `recv`, so a header
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

from worker.gateway.attempt import Attempt, Stage, Stopped, current
from worker.gateway.resolver import Address

if TYPE_CHECKING:
    _SocketBase = socket.socket
    _ConnectionBase = HTTPConnection
else:
    _SocketBase = _ConnectionBase = object


class _Timed(_SocketBase):
    """Reads that end when the attempt's time does."""

    def recv_into(self, *args: Any) -> int:
        attempt = _needed()
        self.settimeout(attempt.time_left(attempt.read_seconds))
        try:
            return super().recv_into(*args)
        except TimeoutError:
            raise attempt.out_of_time() from None

    def recv(self, *args: Any) -> bytes:
        attempt = _needed()
        self.settimeout(attempt.time_left(attempt.read_seconds))
        try:
            return super().recv(*args)
        except TimeoutError:
            raise attempt.out_of_time() from None


class TimedSocket(_Timed, socket.socket):
    """A plain socket whose reads end when the attempt's time does."""


class TimedTLSSocket(_Timed, ssl.SSLSocket):
    """The same over TLS. OpenSSL's own loops, the handshake among them, keep to the socket's time-out as a whole."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
        """Shake hands within the connect time-out."""
        attempt = _needed()
        attempt.stage = Stage.HANDSHAKING
        try:
            self.settimeout(attempt.time_left(attempt.connect_seconds))
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
        attempt = _needed()
        if self.sock is None:
            self.connect()
        self._outgoing = []
        try:
            super().request(*args, **options)
            request = b"".join(self._outgoing)
        finally:
            self._outgoing = None
        self.sock.settimeout(attempt.time_left(attempt.read_seconds))
        attempt.leave()
        try:
            super().send(request)
        except TimeoutError:
            raise attempt.out_of_time() from None

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
        attempt = _needed()
        attempt.stage = Stage.PROXYING if self.proxy else Stage.RESOLVING
        try:
            addresses = attempt.resolver.addresses(self._dns_host, self.port, seconds=attempt.time_left())
        except TimeoutError:
            raise Stopped(attempt.stage.timed_out, "lookup took too long") from None
        except (OSError, UnicodeError) as error:
            raise Stopped(attempt.stage.failed, type(error).__name__) from None
        if not self.proxy:
            attempt.stage = Stage.CONNECTING
        problem = Stopped(attempt.stage.failed, "no address")
        for address in addresses:
            try:
                return _connect(address, attempt)
            except TimeoutError:
                problem = Stopped(attempt.stage.timed_out)
            except OSError as error:
                problem = Stopped(
                    attempt.stage.failed, errno.errorcode.get(error.errno or 0, type(error).__name__)
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


def _connect(address: Address, attempt: Attempt) -> socket.socket:
    family, where = address
    sock = TimedSocket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(attempt.time_left(attempt.connect_seconds))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _needed() -> Attempt:
    attempt = current()
    if attempt is None:
        message = "a connection of ours is used outside an attempt"
        raise RuntimeError(message)
    return attempt
