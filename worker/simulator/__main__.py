"""`python -m worker.simulator`: run the simulator until SIGTERM, Ctrl-C, or its parent's end."""

import argparse
import asyncio
import functools
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Final

from worker.simulator.journal import DEFAULT_BALANCE, Journal
from worker.simulator.rules import Rules
from worker.simulator.server import Simulator

_PARENT_CHECK_SECONDS: Final = 0.3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.simulator", description="A working imitation of the gateway."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: a free one (default)")
    add("--account", required=True, help="the APIID it knows")
    add("--apikey", required=True, help="and its APIKEY")
    add("--journal", type=Path, help="file of submissions; one that is there is gone on with")
    add("--balance", type=int, default=DEFAULT_BALANCE, help="calls left at first")
    add("--latency", type=float, default=0.0, help="seconds before each reply")
    add("--signature-age", type=float, default=300.0, help="seconds that a signature's time may be off")
    add("--per-second", type=int, default=1, help="submissions a second to one number before 4080; 0: any")
    add(
        "--per-minute",
        type=int,
        default=10,
        help="submissions a minute to one number before the account freezes; 0: any",
    )
    add(
        "--wrong-keys",
        type=int,
        default=0,
        help="wrong keys in a row before the account freezes; 0: any (default)",
    )
    add(
        "--allow-plain-http",
        action="store_true",
        help="take the APIKEY itself over http; else only signatures",
    )
    add("--tls-cert", type=Path, help="serve https with this certificate")
    add("--tls-key", type=Path, help="and its key")
    add("--tell", action="store_true", help="print a line for each submission")
    add("--parent-pid", type=int, help="end when this process has ended")
    return parser.parse_args()


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parent_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _watch_parent(pid: int, *, was_parent: bool, stop: asyncio.Event) -> None:
    if _parent_gone(pid) or (was_parent and os.getppid() != pid):
        stop.set()
        return
    later = functools.partial(_watch_parent, pid, was_parent=was_parent, stop=stop)
    asyncio.get_running_loop().call_later(_PARENT_CHECK_SECONDS, later)


async def _serve(given: argparse.Namespace, simulator: Simulator) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = None
    if given.tls_cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.tls_cert, given.tls_key)
    try:
        port = await simulator.listen(given.host, given.port, context)
    except OSError as error:
        sys.stderr.write(
            f"simulator: cannot listen on {given.host}:{given.port}: {error.strerror or error}\n"
        )
        return 1
    if given.parent_pid:
        _watch_parent(given.parent_pid, was_parent=os.getppid() == given.parent_pid, stop=stop)
    _tell(f"simulator ready {'https' if context else 'http'}://{given.host}:{port}")
    await stop.wait()
    simulator.close()
    return 0


def main() -> int:
    """Run; return the exit status."""
    given = _arguments()
    rules = Rules(
        account=given.account,
        apikey=given.apikey,
        signature_age_seconds=given.signature_age,
        per_second=given.per_second,
        per_minute=given.per_minute,
        wrong_keys=given.wrong_keys,
        plain_key_over_http=given.allow_plain_http,
    )
    with Journal(balance=given.balance, file=given.journal) as journal:
        simulator = Simulator(
            rules, journal, latency_seconds=given.latency, tell=_tell if given.tell else None
        )
        return asyncio.run(_serve(given, simulator))


if __name__ == "__main__":
    sys.exit(main())
