"""A Redis server for the demo and the tests, started and ended by the process that uses it."""

from worker.embedded.server import Server, ServerError, start_server

__all__ = ["Server", "ServerError", "start_server"]
