"""A TCP proxy for tests: between a worker and what it talks to, to cut, freeze and delay."""

import contextlib
import socket
import struct
import threading
import time
from typing import Final, Self

_CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `.port` of 127.0.0.1 and passes bytes on to a port there. A context manager.

    `cut`: connections are reset, new ones are refused. `freeze`: no byte passes, connections stay
    up and new ones are taken. `delay`: each piece waits so many seconds. `heal` ends all three. All
    may be called from any thread.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target_port = 0
        self.address = ""
        """Where the target sees connections come from; empty: as the system chooses."""
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.RLock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._delay_seconds = 0.0

    def start(self, target_port: int, *, port: int = 0, address: str = "") -> Self:
        """Begin to pass on; a `port` of its own where none is given."""
        self.target_port, self.port, self.address = target_port, port, address
        self._listen()
        return self

    @property
    def connections(self) -> int:
        """How many connections pass now."""
        with self._lock:
            return len(self._open) // 2

    def cut(self) -> None:
        """Reset what is open and refuse what comes."""
        with self._lock:
            self._hang_up()
            self.sever()
        self._flowing.set()

    def sever(self) -> None:
        """Reset what is open; new connections are welcome."""
        with self._lock:
            gone, self._open = self._open, set()
        for sock in gone:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Without it a thread that reads would keep the descriptor, and the reset, back.
                sock.shutdown(socket.SHUT_RD)
            sock.close()

    def freeze(self) -> None:
        """Let no byte pass."""
        self._flowing.clear()

    def delay(self, seconds: float) -> None:
        """Have each piece wait so long, in both directions."""
        self._delay_seconds = seconds

    def heal(self) -> None:
        """Pass everything on again; what was frozen arrives now."""
        self._delay_seconds = 0.0
        self._flowing.set()
        with self._lock:
            if self._listener is None:
                self._listen()

    def close(self) -> None:
        """End it."""
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        with self._lock:
            self._listener = listener
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _hang_up(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near, listener), daemon=True).start()

    def _join(self, near: socket.socket, listener: socket.socket) -> None:
        self._flowing.wait()
        try:
            far = socket.create_connection(
                ("127.0.0.1", self.target_port),
                timeout=5,
                source_address=(self.address, 0) if self.address else None,
            )
        except OSError:
            near.close()
            return
        far.settimeout(None)
        pair = (near, far)
        with self._lock:
            if self._listener is not listener:
                near.close()
                far.close()
                return
            self._open.update(pair)
        for sock in pair:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in (pair, pair[::-1]):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if self._delay_seconds:
                    time.sleep(self._delay_seconds)
                self._flowing.wait()
                target.sendall(data)
        with self._lock:
            mine = {source, target} & self._open
            self._open -= mine
        for sock in mine:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
