"""`python -m worker.simulator`: run the simulator until SIGTERM, Ctrl-C, or its parent's end."""

import argparse
import asyncio
import functools
import json
import os
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker.simulator.accounts import DEFAULT_BALANCE, Account
from worker.simulator.control import carry_out
from worker.simulator.journal import Journal
from worker.simulator.rules import Rules
from worker.simulator.server import Simulator

_PARENT_CHECK_SECONDS: Final = 0.3
_EPILOG: Final = """\
--at plays an incident without anybody at the control API. An account that runs dry after 40 calls
and is topped up after a minute, and an outage:

  --balance 40 --at 60 account '{"top_up": 500}' --at 90 outage '{"scenario": "refuse", "seconds": 45}'

docs/replies.md has the control API and the scenarios.
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.simulator",
        description="A working imitation of the gateway.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: a free one (default)")
    add("--control-port", type=int, default=0, help="a port of the control API's own; 0: a free one")
    add("--account", required=True, help="the APIID that it knows")
    add("--apikey", required=True, help="and its APIKEY")
    add(
        "--other-account",
        nargs=2,
        action="append",
        default=[],
        metavar=("APIID", "APIKEY"),
        help="a further account",
    )
    add("--journal", type=Path, help="file of submissions; an existing one is carried on")
    add("--balance", type=int, default=DEFAULT_BALANCE, help="calls left in each account at first")
    add("--latency", type=float, default=0.0, help="seconds before each reply")
    add("--signature-age", type=float, default=300.0, help="seconds by which a signature's time may be off")
    add(
        "--per-second",
        type=int,
        default=1,
        help="submissions a second to one number before 4080; 0: no limit",
    )
    add(
        "--per-minute",
        type=int,
        default=10,
        help="submissions a minute to one number before the account is frozen (408); 0: no limit",
    )
    add(
        "--wrong-keys",
        type=int,
        default=0,
        help="wrong keys in a row before the account is frozen (408); 0: no limit (default)",
    )
    add(
        "--at",
        nargs=3,
        action="append",
        default=[],
        metavar=("SECONDS", "REQUEST", "BODY"),
        help="carry out a request of the control API, e.g. account, address, outage, rates, script",
    )
    add("--allow-plain-http", action="store_true", help="accept the APIKEY itself over http")
    add("--tls-cert", type=Path, help="serve https with this certificate")
    add("--tls-key", type=Path, help="and its key")
    add("--verbose", action="store_true", help="print a line for each submission")
    add("--parent-pid", type=int, help="end when this process has ended")
    given = parser.parse_args()
    try:
        given.at = [(float(seconds), request, json.loads(body)) for seconds, request, body in given.at]
    except ValueError as error:
        parser.error(f"--at takes seconds, a request and its body in JSON: {error}")
    return given


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"simulator: {line}\n")
    sys.stderr.flush()


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


def _incident(simulator: Simulator, request: str, body: Mapping[str, Any]) -> bool:
    try:
        carry_out(simulator, "POST", request, body)
    except (LookupError, ValueError) as error:
        _complain(f"--at {request}: {error}")
        return False
    return True


async def _serve(given: argparse.Namespace, journal: Journal, rules: Rules) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = None
    if given.tls_cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.tls_cert, given.tls_key)
    simulator = Simulator(
        rules,
        journal,
        context=context,
        latency_seconds=given.latency,
        say=_say if given.verbose else None,
    )
    try:
        port, control_port = simulator.listen(given.host, given.port, given.control_port)
    except OSError as error:
        _complain(f"cannot listen on {given.host}:{given.port}: {error.strerror or error}")
        return 1
    for seconds, request, body in given.at:
        if seconds > 0:
            loop.call_later(seconds, _incident, simulator, request, body)
        elif not _incident(simulator, request, body):
            return 1
    if given.parent_pid:
        _watch_parent(given.parent_pid, was_parent=os.getppid() == given.parent_pid, stop=stop)
    _say(f"simulator ready {'https' if context else 'http'}://{given.host}:{port}")
    _say(f"control http://{given.host}:{control_port}/_simulator/")
    await stop.wait()
    simulator.close()
    return 0


def main() -> int:
    """Run; return the exit status."""
    given = _arguments()
    rules = Rules(
        signature_age_seconds=given.signature_age,
        per_second=given.per_second,
        per_minute=given.per_minute,
        wrong_keys=given.wrong_keys,
        plain_key_over_http=given.allow_plain_http,
    )
    pairs = [(given.account, given.apikey), *given.other_account]
    accounts = [Account(name=name, apikeys=(key,), balance=given.balance) for name, key in pairs]
    with Journal(accounts, file=given.journal) as journal:
        return asyncio.run(_serve(given, journal, rules))


if __name__ == "__main__":
    sys.exit(main())
