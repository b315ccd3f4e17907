"""A receiver of webhooks: keeps what is posted."""

import http.server
import threading
from typing import Any, Final, Self


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what is posted. `replies`: status codes, the first one first; then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.replies: list[int] = []
        self._thread: Final = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posted.append((self.path, dict(self.headers), body))
        self.send_response(receiver.replies.pop(0) if receiver.replies else 200)
        self.end_headers()
        self.wfile.write(b'{"errcode": 0}')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
