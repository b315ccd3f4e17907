"""A Redis server of our own for the demo and the tests."""

from worker.embedded.server import Server, ServerError, start_server

__all__ = ["Server", "ServerError", "start_server"]
