"""Resolver: name lookups with a time-out, which `getaddrinfo` itself does not have."""

import concurrent.futures
import contextlib
import socket
import threading
from typing import Final

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class Resolver:
    """Looks names up in a thread. All callers that wait for one name share one lookup."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._lookups: Final[dict[tuple[str, int], concurrent.futures.Future[list[Address]]]] = {}

    def addresses(self, host: str, port: int, *, seconds: float) -> list[Address]:
        """Return the addresses of `host`.

        Raises TimeoutError after `seconds`, and OSError or UnicodeError if the lookup fails.
        """
        with contextlib.suppress(socket.gaierror):
            return _get(host, port, socket.AI_NUMERICHOST)
        key = host, port
        with self._lock:
            lookup = self._lookups.get(key)
            if lookup is None:
                lookup = concurrent.futures.Future()
                threading.Thread(
                    target=self._look_up, args=(key, lookup), name="name-lookup", daemon=True
                ).start()
                self._lookups[key] = lookup
        return lookup.result(seconds)

    def _look_up(self, key: tuple[str, int], lookup: concurrent.futures.Future[list[Address]]) -> None:
        try:
            found = _get(*key, 0)
        except Exception as error:  # noqa: BLE001 - raised again in the waiting threads
            self._forget(key)
            lookup.set_exception(error)
        else:
            self._forget(key)
            lookup.set_result(found)

    def _forget(self, key: tuple[str, int]) -> None:
        with self._lock:
            del self._lookups[key]


def _get(host: str, port: int, flags: int) -> list[Address]:
    return [
        (family, address)
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    ]
