"""Prober: asks the gateway for the balance, to learn early that codes can be called again.

It has a thread of its own, so neither upkeep nor the report waits for the gateway.

1. An unfit worker asks after one second, after two more, then every three. An answer makes it fit.
2. While others send, an unfit worker becomes fit after fifteen seconds, to try one code at a time.
3. While an account is empty, one of its workers asks every fifteen seconds.
4. One worker of those that fetch asks every five minutes, to warn of a low balance: a standby's
   account is another one.
"""

import contextlib
import secrets
import time
from typing import Any, Final, Protocol

import structlog

from config import names
from config.names import Event
from config.settings import Settings
from worker.process.periodic import Periodic
from worker.reply import Reply
from worker.sending.fleet import Fleet
from worker.sending.state import State
from worker.store import scripts
from worker.store.availability import RedisAvailability, RedisUnavailable, reaching
from worker.store.scripts import Script

log = structlog.get_logger("voicecode.sending")

ANSWERED: Final = 2
EMPTY: Final = "4051"
ZERO: Final = "0"
_UNFIT_PAUSES: Final = (1 / 15, 2 / 15, 3 / 15)
"""Parts of `probe_seconds`."""
_BALANCE_SECONDS: Final = 300
_LOOK_SECONDS: Final = 0.5


class AsksBalance(Protocol):
    """The part of the gateway that is needed."""

    def balance(self) -> Reply:
        """Ask for the number of calls left."""


class Prober(Periodic):
    """Looks twice a second."""

    def __init__(
        self,
        fleet: Fleet,
        gateway: AsksBalance,
        client: Any,
        settings: Settings,
        availability: RedisAvailability,
    ) -> None:
        super().__init__("prober", self._look_or_wait, min(_LOOK_SECONDS, settings.probe_seconds / 30))
        self._fleet = fleet
        self._gateway = gateway
        self._client = client
        self._seconds = settings.probe_seconds
        self._reserve = settings.balance_reserve
        self._warn_below = sorted(int(bound) for bound in settings.balance_warn.split(",") if bound)
        self._availability = availability
        self._command = Script(client, "sending/command")
        self._asked = 0
        self._unfit_since = 0.0
        self._ask_at = 0.0

    def _look_or_wait(self) -> None:
        with contextlib.suppress(RedisUnavailable):  # upkeep logs it
            self.look()

    def look(self) -> None:
        """Ask for the balance, or recover, if it is time."""
        if self._fleet.unfit is not None:
            self._look_unfit(time.monotonic())
            return
        self._asked, self._unfit_since = 0, 0.0
        if self._fleet.verdict.blocked_by == EMPTY and self._mine(
            f"probe:{self._fleet.config}", self._seconds
        ):
            self._ask_for_top_up()
        elif self._warn_below and self._fleet.verdict.fetch and self._mine("balance", _BALANCE_SECONDS):
            self._note(self._gateway.balance())

    def _look_unfit(self, now: float) -> None:
        if not self._unfit_since:
            self._unfit_since, self._asked = now, 0
            self._ask_at = now + _UNFIT_PAUSES[0] * self._seconds
        row = self._fleet.unfit
        sends = self._fleet.verdict.state is State.SENDING
        if sends and now - self._unfit_since >= self._seconds:
            self._unfit_since = 0.0
            self._fleet.recover()
        elif row is not None and row.name != ZERO and now >= self._ask_at:
            self._asked = min(self._asked + 1, len(_UNFIT_PAUSES) - 1)
            answered = self._gateway.balance().code == ANSWERED
            self._ask_at = time.monotonic() + _UNFIT_PAUSES[self._asked] * self._seconds
            if answered:
                self._unfit_since = 0.0
                self._fleet.recover()

    def _ask_for_top_up(self) -> None:
        reply = self._gateway.balance()
        self._note(reply)
        if reply.code != ANSWERED or reply.balance is None or reply.balance <= self._reserve:
            return
        with reaching(self._availability):
            answer = self._command(
                [names.SENDING],
                clock_offset=0,
                version=names.RECORD_VERSION,
                command="unblock",
                who="balance",
                note="",
                config=self._fleet.config,
                row=EMPTY,
                purse=names.PURSE_PREFIX,
                token=secrets.token_hex(8),
            )
        transition = scripts.text(answer[0])
        if transition:
            self._fleet.moved(transition)

    def _note(self, reply: Reply) -> None:
        """Keep the balance for people to see, and warn once below each bound."""
        if reply.code != ANSWERED or reply.balance is None:
            return
        below = next((bound for bound in self._warn_below if reply.balance < bound), None)
        known = {
            "balance": reply.balance,
            "asked_at": round(time.time(), 3),
            "warned": "" if below is None else below,
        }
        with reaching(self._availability):
            warned = self._client.hget(names.BALANCE, "warned")
            self._client.hset(names.BALANCE, mapping=known)
        if below is not None and (not warned or below < int(warned)):
            log.warning(
                Event.BALANCE_LOW, balance=reply.balance, below=below, alert="warn", runbook="balance-low"
            )

    def _mine(self, what: str, seconds: float) -> bool:
        """Return whether it is this worker's turn to ask."""
        with reaching(self._availability):
            return bool(
                self._client.set(
                    f"{names.SENDING}:{what}", "1", nx=True, px=max(1, int(seconds * 1000) - 100)
                )
            )
