"""The demo's command line: starts the services, runs the walkthrough, and ends everything."""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import redis
from pydantic import SecretStr

from config.settings import Settings, SettingsError, load
from worker.demo import real_call, services, web_app
from worker.demo.figures import Figures
from worker.demo.screen import Screen
from worker.demo.walkthrough import Walkthrough, check_alone
from worker.embedded.server import ServerError
from worker.failure_queue import FailureQueue
from worker.ledger import Ledger
from worker.sending.account import Account
from worker.simulator.process import RunningSimulator, SimulatorNotStartedError
from worker.store.availability import RedisAvailability, RedisUnavailable
from worker.store.client import connect

TROUBLE = (
    services.DemoError,
    SettingsError,
    ServerError,
    SimulatorNotStartedError,
    RedisUnavailable,
    redis.RedisError,
    OSError,
)


def main() -> int:
    """Run the demo.

    Returns 0 if every code ended as it should, 1 if one did not, 2 if the demo could not begin.
    """
    given = _arguments()
    screen = Screen(plain=given.json, picture=given.svg is not None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # set by `nohup`
            signal.signal(number, _leave)
    try:
        figures = _run(given, screen)
    except TROUBLE as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201 - for the person who started it
        return 2
    except KeyboardInterrupt:
        return 130
    return 0 if figures.good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description=(
            "Watch voice codes of every fate go from a producer through Redis and a worker "
            "to the gateway, which a simulator plays."
        ),
        epilog=(
            "VOICECODE_BROKER_URL: use that Redis (a database without voice codes; what the demo "
            "writes there stays, under keys demo-...). "
            "VOICECODE_ACCOUNT and VOICECODE_APIKEY: place one real call, after asking."
        ),
    )
    parser.add_argument(
        "--json", action="store_true", help="no live table; the last line is one JSON object of figures"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave everything running until Ctrl-C, and print how to carry on by hand",
    )
    parser.add_argument(
        "--console", action="store_true", help="like --keep, and serve the console to your browser meanwhile"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the tables as a picture")
    given = parser.parse_args()
    given.keep |= given.console
    return given


def _leave(number: int, _frame: Any) -> NoReturn:
    """End as Ctrl-C does, through every `finally`."""
    sys.exit(128 + number)


def _run(given: argparse.Namespace, screen: Screen) -> Figures:
    started = time.monotonic()
    settings = load()
    real = settings.account is not None or settings.apikey is not None
    asked = real_call.ask(settings, screen) if real else None
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(services.broker(settings))
        logs = stack.enter_context(services.folder())
        ledger = stack.enter_context(_ledger(settings, url))
        check_alone(ledger)
        app = web_app.connect(url, settings.sentinel_master)
        redis_address = {"broker_url": url, "sentinel_master": settings.sentinel_master}
        if asked:
            stack.enter_context(services.worker(redis_address, logs=logs, clean=False))
            figures = real_call.place(*asked, app=app, ledger=ledger, screen=screen, started=started)
            simulator = None
        else:
            simulator, account = stack.enter_context(services.simulator())
            worker = stack.enter_context(
                services.worker({**services.SHORT_TIMES, **redis_address, **account}, logs=logs, clean=True)
            )
            walkthrough = Walkthrough(
                screen=screen,
                ledger=ledger,
                queue=FailureQueue(ledger.client, settings, operator="demo"),
                account=Account(ledger.client, operator="demo"),
                app=app,
                gateway=simulator.client,
                worker=worker,
                started=started,
            )
            figures = walkthrough.run()
        if given.svg:
            screen.save(given.svg, "./run demo")
        if not given.keep:
            screen.say("To carry on by hand with everything running: ./run demo --keep", style="")
        if given.json:
            print(json.dumps(dataclasses.asdict(figures)), flush=True)  # noqa: T201 - the point of --json
        if given.keep:
            console = stack.enter_context(services.console(redis_address, logs=logs)) if given.console else ""
            _keep(screen, url, simulator, logs, console)
    return figures


@contextlib.contextmanager
def _ledger(settings: Settings, url: str) -> Iterator[Ledger]:
    settings = settings.model_copy(update={"broker_url": SecretStr(url)})
    with connect(settings) as client:
        client.ping()
        yield Ledger(client, settings, RedisAvailability(0, time.monotonic))


def _keep(screen: Screen, url: str, simulator: RunningSimulator | None, logs: Path, console: str) -> None:
    """Print how to carry on by hand, and wait for Ctrl-C."""
    lines = [
        "Everything keeps running until Ctrl-C. In another terminal, in this folder:",
        f"  export VOICECODE_BROKER_URL={url}",
        "  ./run voicecode send 13800138000 0042 --wait",
        "  ./run voicecode send 19900004030 0042 --wait   # dies with 4030; docs/replies.md has more numbers",
        "  ./run voicecode dead list",
        "  ./run voicecode dead show KEY",
        "  ./run voicecode dead replay KEY",
        f"  tail -f {logs / 'worker.log'}",
    ]
    if simulator:
        lines.append(
            f"  {simulator.client.address}/_simulator/   # the gateway: empty its account, take it away, ..."
        )
    if console:
        lines.append(f"The console, in a browser: {console}")
    screen.say("\n".join(lines), style="")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
