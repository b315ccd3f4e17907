"""Where log lines go: stderr, or a file that may be renamed and made again by logrotate."""

import contextlib
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any


class Handler(logging.StreamHandler[Any]):
    """Unlike the standard handler, never prints the arguments of a record that it cannot write."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Write the logger's name and the error's, but no value."""
        tell_unwritten(self, record.name)

    def write(self, line: str) -> None:
        """Write one whole line under the lock. Raises what the stream raises."""
        with self.lock or contextlib.nullcontext():
            self.stream.write(line + "\n")
            self.stream.flush()


class FileHandler(logging.handlers.WatchedFileHandler):
    """The same for a file. It opens the file again when somebody has moved it away."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Write the logger's name and the error's, but no value."""
        tell_unwritten(self, record.name)

    def write(self, line: str) -> None:
        """Write one whole line under the lock. Raises what the file raises."""
        with self.lock or contextlib.nullcontext():
            self.reopenIfNeeded()
            stream: Any = self.stream
            stream.write(line + "\n")
            stream.flush()


def handler_for(file: Path | str | None) -> Handler | FileHandler:
    """Return a handler for this file, or for stderr. Raises OSError for a file."""
    return FileHandler(file, encoding="utf-8") if file else Handler(sys.stderr)


def tell_unwritten(handler: Handler | FileHandler, name: str) -> None:
    """Write that a line of logger `name` was lost because of the current exception."""
    error = sys.exc_info()[0]
    stream: Any = handler.stream
    with contextlib.suppress(Exception):
        stream.write(
            f'{{"event": "line.unwritten", "logger": "{name}", "cause": "{error and error.__name__}"}}\n'
        )


class Lines:
    """Writes our own lines: one write each, under the lock that the libraries' lines take, too."""

    def __init__(self, name: str, handler: Handler | FileHandler) -> None:
        self.name = name
        self._handler = handler

    def write(self, line: str) -> None:
        """Write a line; if that fails, say so without its values. Nothing is raised."""
        try:
            self._handler.write(line)
        except Exception:  # noqa: BLE001 - a full disk, a closed pipe
            self.tell_unwritten()

    debug = info = warning = error = critical = write

    def tell_unwritten(self) -> None:
        """Say that a line was lost because of the current exception."""
        tell_unwritten(self._handler, self.name)
