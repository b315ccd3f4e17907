"""Measures of ours alone: more processes, a crowded ledger, many calls in flight.

Also what the gateway itself can take.
"""

import contextlib
import functools
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trustme

from benchmarks import gateways
from benchmarks.field import BY_NAME, OURS
from benchmarks.gateways import Gateway
from benchmarks.measures import LATENCIES, Plan, announce, note_drain, setup_of, tried
from benchmarks.results import Results
from benchmarks.trial import drain, wait
from config import names
from tests.support.dead_letters import load_mixed
from worker.embedded.server import Server, start_server

SCALING_SLOTS: Final = 10
INFLIGHT_SLOTS: Final = 200
INFLIGHT_SECONDS: Final = 2.0
_BURST: Final = 100

FILL_DUE: Final = """
for i = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  local key, moment = string.format('crowd:%08d', i), ARGV[3] + i / 1000
  redis.call('HSET', KEYS[1] .. key, 'v', 1, 'state', 'waiting', 'mobile', string.format('139%08d', i),
    'code', '004200', 'digest', string.format('%032x', i), 'purpose', '',
    'task_id', string.format('%036d', i), 'first_seen', ARGV[4], 'expires_at', moment + 3000,
    'attempt', 1, 'life', 0, 'until', moment, 'token', string.format('%016x', i), 'row', '0',
    'spent', '0')
  redis.call('ZADD', KEYS[2], moment, key)
  redis.call('ZADD', KEYS[3], moment + 3000, key)
end
return redis.status_reply('OK')
"""


def ceilings(results: Results) -> None:
    """Note how many requests a second the gateway answers: it must never be the limit."""
    for name, latency in LATENCIES[:1]:
        with gateways.fast(latency) as gateway:
            results.note("gateway_ceiling", name, _blast(gateway))


def _blast(gateway: Gateway, seconds: float = 1.5) -> float:
    parts, body = urlsplit(gateway.url), b"account=C00000001&mobile=13800000000&content=123456"
    request = b"POST %s?method=Submit HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" % (
        parts.path.encode(),
        len(body),
        body,
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.settimeout(10)
        started, sent, seen = time.monotonic(), 0, 0
        while time.monotonic() - started < seconds:
            connection.sendall(request * _BURST)
            sent += _BURST
            while seen < sent:
                seen += connection.recv(65_536).count(b"HTTP/1.1 200")
        return sent / (time.monotonic() - started)


def scaling(results: Results, plan: Plan) -> None:
    """Drain with one, two and four processes of ten slots each; the gateway takes 100 ms."""
    for _ in range(plan.repetitions):
        for processes in (1, 2, 4):

            def trial(processes: int = processes) -> None:
                latency = LATENCIES[1][1]
                shape: dict[str, Any] = {"processes": processes, "slots": SCALING_SLOTS}
                with gateways.fast(latency) as gateway, setup_of(BY_NAME[OURS], gateway, 1, **shape) as setup:
                    note_drain(
                        results, OURS, f"{processes}_processes", drain(setup, plan.codes(500 * processes))
                    )

            tried(results, OURS, f"{processes} processes", trial)


def crowded(results: Results, plan: Plan) -> None:
    """Drain at 0 ms with many codes waiting, with as many dead letters, and with none, by turns."""
    with start_server() as due, start_server() as dead:
        announce(f"filling: {plan.crowd} waiting codes, {plan.crowd} dead letters")
        _fill_due(due, plan.crowd)
        with dead.client(socket_timeout=60) as client:
            load_mixed(client, plan.crowd, now=time.time(), span_seconds=100_000, sendable=plan.crowd // 10)
        for turn in range(plan.repetitions):
            for name, server in (("uncrowded", None), ("due", due), ("dead", dead)):
                tried(
                    results,
                    OURS,
                    f"{name}, {plan.crowd}",
                    functools.partial(_crowded, results, plan, name, server, turn),
                )
        with due.client() as client:
            results.note("due_left", OURS, float(client.zcard(names.DUE)))
        with dead.client() as client:
            results.note("dead_left", OURS, float(client.zcard(names.DEAD)))


def _crowded(results: Results, plan: Plan, name: str, server: Server | None, turn: int) -> None:
    count = plan.codes(BY_NAME[OURS].codes[0])
    with gateways.fast(0) as gateway, setup_of(BY_NAME[OURS], gateway, 0, server) as setup:
        note_drain(results, OURS, name, drain(setup, count, first=turn * count))


def _fill_due(server: Server, count: int) -> None:
    with server.client(socket_timeout=60) as client:
        fill = client.register_script(FILL_DUE)
        now = time.time()
        for first in range(0, count, 500):
            fill(
                keys=[names.RECORD_PREFIX, names.DUE, names.EXPIRY],
                args=[first, min(500, count - first), now + 3000, now],
            )


def inflight(results: Results, plan: Plan) -> None:
    """Read one process's peak resident size with 200 calls in flight, over http and https."""
    for _ in range(plan.repetitions):
        tried(results, OURS, "200 in flight over http", lambda: _inflight(results, "http", {}, {}))
        tried(results, OURS, "200 in flight over https", lambda: _over_tls(results))


def _over_tls(results: Results) -> None:
    with _certificates() as (cert, bundle, context):
        _inflight(results, "https", {"cert": cert, "context": context}, {"ca_bundle": str(bundle)})


def _inflight(results: Results, way: str, options: dict[str, Any], settings: dict[str, object]) -> None:
    shape: dict[str, Any] = {"processes": 1, "slots": INFLIGHT_SLOTS, "settings": settings}
    count = INFLIGHT_SLOTS * 2
    with (
        gateways.own(INFLIGHT_SECONDS, **options) as gateway,
        setup_of(BY_NAME[OURS], gateway, 1, **shape) as setup,
    ):
        setup.fill(count)
        with setup.workers() as trees:
            wait(gateway.count, count, lambda: 0.0)
            time.sleep(INFLIGHT_SECONDS)
            results.note(f"inflight_{way}", OURS, sum(tree.peak_megabytes() for tree in trees))
            results.note(f"inflight_{way}_calls", OURS, float(gateway.peak()))


@contextlib.contextmanager
def _certificates() -> Iterator[tuple[Path, Path, ssl.SSLContext]]:
    """Make a certificate for localhost.

    Return its file, the file of its authority, and a context that trusts them.
    """
    with tempfile.TemporaryDirectory(prefix="voicecode-bench-") as name:
        authority = trustme.CA()
        cert, bundle = Path(name) / "cert.pem", Path(name) / "ca.pem"
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(cert)
        authority.cert_pem.write_to_path(bundle)
        yield cert, bundle, ssl.create_default_context(cafile=str(bundle))
