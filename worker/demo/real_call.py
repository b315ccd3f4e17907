"""One call through a real account, after a person at a terminal has confirmed it."""

import secrets
import sys
import time
from typing import Final

from celery import Celery

from config.masking import mask_mobile
from config.settings import Settings
from worker.demo import web_app
from worker.demo.figures import Figures, count
from worker.demo.samples import ACCEPTED, DEAD
from worker.demo.screen import Screen, codes_table
from worker.demo.services import DemoError
from worker.demo.tracker import Tracker
from worker.ledger import Ledger
from worker.message import BadInput, normalise_mobile

_LIFE_SECONDS: Final = 120.0
CONSENT: Final = "call"


def ask(settings: Settings, screen: Screen) -> tuple[str, str]:
    """Return the number to call and a fresh code, after a person has agreed.

    Raises DemoError without a terminal or without consent.
    """
    account, _key = settings.require_gateway()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        message = (
            "VOICECODE_ACCOUNT is set, so the demo would place a real call. "
            "It asks for consent first, on a terminal only.\n"
            "Unset VOICECODE_ACCOUNT and VOICECODE_APIKEY to watch it with the simulator"
        )
        raise DemoError(message)
    screen.say(
        f"VOICECODE_ACCOUNT is set: ONE REAL CALL through {settings.gateway_url} "
        f"with account {account[:2]}***. It may cost money."
    )
    try:
        mobile = normalise_mobile(screen.console.input("Number to call (your own): "))
    except BadInput as error:
        raise DemoError(str(error)) from error
    code = f"{secrets.randbelow(10_000):04}"
    answer = screen.console.input(
        f"{mask_mobile(mobile)} will hear the code {code}. Type '{CONSENT}' to place the call: "
    )
    if answer.strip().lower() != CONSENT:
        message = "no call was placed"
        raise DemoError(message)
    return mobile, code


def place(  # noqa: PLR0913 - what a run consists of
    mobile: str, code: str, *, app: Celery, ledger: Ledger, screen: Screen, started: float
) -> Figures:
    """Send one code, show it until it ends, and return the figures."""
    key = f"demo-{secrets.token_hex(4)}:real"
    tracker = Tracker(ledger)
    tracker.add(key, "a real call", mobile)
    web_app.enqueue(
        app,
        [mobile, code],
        {"key": key, "expires_at": time.time() + _LIFE_SECONDS, "purpose": "demo"},
        task_id=key,
    )
    screen.follow(tracker, lambda: tracker.codes[0].over, _LIFE_SECONDS + 30)
    screen.table(lambda width: codes_table(tracker.codes, "What became of it", width))
    row = tracker.codes[0]
    return Figures(
        enqueued=1,
        duplicates_suppressed=0,
        codes=1,
        accepted=count(tracker.codes, ACCEPTED),
        dead=count(tracker.codes, DEAD),
        unfinished=int(not row.over),
        died_before_replay=count(tracker.codes, DEAD),
        replayed=0,
        replay_refused=0,
        attempts=row.attempts,
        retried=int(row.attempts > 1),
        ambiguous_attempts=row.ambiguous,
        calls=None,
        unexpected=[],
        elapsed_seconds=round(time.monotonic() - started, 2),
    )
