"""Adapter: requests' HTTPAdapter with one pool and one SSLContext, and without retries."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.response import BaseHTTPResponse

from worker.gateway.connection import POOLS, TimedTLSSocket


class _Context(ssl.SSLContext):
    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Do nothing.

        urllib3 sets them for each connection. That frees memory which another thread's handshake
        may be reading.
        """


def tls_context(ca_bundle: Path) -> ssl.SSLContext:
    """Return a context that trusts only the file's certificates and checks the host name.

    It speaks TLS 1.2 and later. Raises OSError if the file holds no certificates.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TimedTLSSocket
    context.load_verify_locations(ca_bundle)
    return context


class Adapter(HTTPAdapter):
    """Sends to the host of one URL, so it keeps one pool. Never retries or loads certificates."""

    def __init__(self, *, size: int, context: ssl.SSLContext) -> None:
        self._context: Final = context
        self._pool: ConnectionPool | None = None
        super().__init__(pool_connections=1, pool_maxsize=size, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the manager, with the pools of `connection`."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)
        self._use_timed_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make a proxy's manager, with the pools of `connection`."""
        if proxy not in self.proxy_manager:
            options |= {"ssl_context": self._context, "proxy_ssl_context": self._context}
            self._use_timed_pools(super().proxy_manager_for(proxy, **options))
        return self.proxy_manager[proxy]

    @staticmethod
    def _use_timed_pools(manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = POOLS

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the context already holds the certificates.

        A file named here would be read again for each connection.
        """

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> ConnectionPool:
        """Return the pool, looked up once: computing its key for each request costs CPU."""
        pool = self._pool
        if pool is None:
            pool = self._pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> Response:
        """Return status, headers and the unread body. Cookies are ignored."""
        response = Response()
        response.status_code = resp.status
        # Looks names up as well as requests' own type does, and needs no copy.
        response.headers = resp.headers  # type: ignore[assignment]
        response.raw = resp
        response.request = req
        return response
