"""A server of raw sockets: every byte, every pause and every cut is the test's own."""

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

Handler = Callable[["RawServer", socket.socket], None]

ACCEPTED: Final = '{"code":2,"msg":"提交成功","smsid":"16842079209571524017"}'.encode()


class RawServer:
    """Plays each connection in a thread of its own and keeps each request that came in whole."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self._handler = handler
        self._tls = tls
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def forms(self) -> list[dict[str, str]]:
        """The forms that came in, decoded."""
        return [
            dict(parse_qsl(request.partition(b"\r\n\r\n")[2].decode(), keep_blank_values=True))
            for request in self.requests
        ]

    def receive(self, sock: socket.socket) -> bytes | None:
        """Read one request whole; None where the client closed instead."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        while lengths and len(body) < int(lengths[0]):
            piece = sock.recv(65536)
            if not piece:
                return None
            body += piece
        request = head + b"\r\n\r\n" + body
        with self._lock:
            self.requests.append(request)
        return request

    def drip(self, sock: socket.socket, data: bytes, pause_seconds: float = 0.1) -> None:
        """Send byte by byte until the client goes away or the test ends."""
        for byte in data:
            sock.sendall(bytes([byte]))
            if self.over.wait(pause_seconds):
                return

    def close(self) -> None:
        """End every connection."""
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        sock = plain
        with contextlib.suppress(OSError):
            if self._tls:
                sock = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open[self._open.index(plain)] = sock
            self._handler(self, sock)
        sock.close()
        plain.close()


def http(
    body: bytes = ACCEPTED, *, status: str = "200 OK", headers: str = "", length: int | None = None
) -> bytes:
    """Write a reply; `headers`: whole lines, each with its line end."""
    return (
        f"HTTP/1.1 {status}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n{headers}\r\n".encode()
        + body
    )


def answer(*replies: bytes) -> Handler:
    """Answer each request with the next reply, then with the last, on one open connection."""
    left = list(replies)

    def handler(server: RawServer, sock: socket.socket) -> None:
        while server.receive(sock) is not None:
            sock.sendall(left.pop(0) if len(left) > 1 else left[0])

    return handler


def reset(sock: socket.socket) -> None:
    """Close with a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def hang(server: RawServer, sock: socket.socket) -> None:
    """Take the request and say nothing."""
    server.receive(sock)
    server.over.wait(30)


def in_child(check: Callable[[], bool]) -> int:
    """Run a check in a forked process; return its id. It exits with 0 where the check holds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return child
