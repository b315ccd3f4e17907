"""Fleet: what this worker tells the others about itself, and what it hears about all of them."""

import contextlib
import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

import redis

from config import names
from config.replies import Row
from config.settings import Settings
from worker.sending import news
from worker.sending.fitness import Fitness, observe, recovered
from worker.sending.state import Sender, State, why
from worker.sending.verdict import Tell, Verdict, read_verdict
from worker.store.availability import RedisAvailability, RedisUnavailable, reaching
from worker.store.scripts import Script


class Pausable(Protocol):
    """What fetches, and can be told not to."""

    def pause(self) -> None:
        """Fetch nothing more, and give back what was not begun."""

    def unpause(self) -> None:
        """Fetch again."""

    def at_most(self, slots: int | None) -> None:
        """Hold no more than so many messages; None: as many as there are slots."""


class Fleet:
    """Shared by all threads of a worker. `credit` is paused while others send and this one cannot.

    `facts`: what else the others may know of this worker (version, host, slots).
    """

    def __init__(  # noqa: PLR0913 - the parts and the facts
        self,
        client: redis.Redis,
        settings: Settings,
        availability: RedisAvailability,
        credit: Pausable,
        *,
        instance: str,
        host: str,
        facts: dict[str, Any],
        in_flight: Callable[[], int] = lambda: 0,
    ) -> None:
        self._client = client
        self._script = Script(client, "sending/report")
        self._availability = availability
        self._credit = credit
        self._instance = instance
        self._facts: Final = facts
        self._in_flight: Final = in_flight
        self._standby: Final = settings.standby
        self._probe_seconds: Final = settings.probe_seconds
        self._unfit_after: Final = settings.unfit_after
        self._host: Final = host
        self.config: Final = configuration(settings)
        self._able = Sender(config=self.config, host=host)
        self._unable = dataclasses.replace(self._able, fit=False)
        self._fitness = Fitness()
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._unfit_by = ""
        """The row that made this worker unfit last."""
        self._said_blocked = False
        self._told = self._paged = 0.0
        """Epoch seconds of the latest moves that this worker has logged, and paged for."""
        self.verdict = Verdict()
        """The latest answer."""
        self.wake: Callable[[], None] = lambda: None
        """Called after a transition that lets codes return, so that upkeep looks at once."""

    @property
    def unfit(self) -> Row | None:
        """The row that made this worker unfit; None while it is fit."""
        return self._fitness.unfit

    @property
    def incident(self) -> str:
        """The name of the incident that lasts, or nothing."""
        return self.verdict.incident

    def sender(self) -> Sender:
        """Return this worker as one that asks for a claim."""
        return self._able if self._fitness.unfit is None else self._unable

    def heard(self, row: Row, number: str, transition: str) -> None:
        """Take note of a reply, and of what recording it did to the fleet."""
        if transition:
            self.moved(transition)
        self.observe(row, number)

    def observe(self, row: Row, number: str) -> None:
        """Take note of a reply to one of this worker's forms."""
        with self._lock:
            before = self._fitness
            self._fitness = observe(before, row, number, self._unfit_after)
            after = self._fitness.unfit
            again = before.on_probation and after is not None and after.name == self._unfit_by
            self._unfit_by = after.name if after is not None else self._unfit_by
            proven = before.is_proving and self._fitness.answered > 0
        if proven:
            self._credit.at_most(None)
        if before.unfit is not after:
            self.report_or_wait()
            news.fitness(after, self.verdict, before.unfit, again=again)

    def recover(self) -> None:
        """Let this worker try again."""
        with self._lock:
            before = self._fitness.unfit
            self._fitness = recovered(self._fitness)
        if before is not None:
            self.report_or_wait()
            news.fitness(None, self.verdict, before)

    def report(self) -> None:
        """Tell how this worker is, and follow the answer. Raises RedisUnavailable.

        One thread at a time: what another one had read before must not come after it.
        """
        with self._reporting:
            self._report()
            while self._tell(self.verdict):
                self._report()  # else another worker would write the line again

    def _report(self) -> None:
        unfit = self._fitness.unfit
        said = {**self._facts, "host": self._host, "config": self.config, "in_flight": self._in_flight()}
        if self._standby:
            said["standby"] = True
        if unfit is not None:
            said["unfit"] = why(unfit, self._probe_seconds)
        with reaching(self._availability):
            answer = self._script(
                [names.SENDING],
                clock_offset=0,
                version=names.RECORD_VERSION,
                instance=self._instance,
                said=json.dumps(said),
                told=self._told,
                paged=self._paged,
            )
        self.verdict = read_verdict(answer)
        tries_alone = self._fitness.is_proving and self.verdict.state is State.SENDING
        self._credit.at_most(1 if tries_alone else None)
        if self.verdict.fetch:
            self._credit.unpause()
        else:
            self._credit.pause()
        self._say_blocked(self.verdict)

    def _say_blocked(self, verdict: Verdict) -> None:
        """Log once that this worker's account is refused while others send."""
        before, blocked = self._said_blocked, bool(verdict.blocked_by)
        says = blocked and not before and verdict.state is State.SENDING
        self._said_blocked = blocked and (before or says)
        if says:
            news.blocked(verdict)

    def _tell(self, verdict: Verdict) -> bool:
        """Write the line that the answer asks for. Return whether to report that it was written."""
        if verdict.tell is Tell.MINUTE:
            news.minute(verdict)
        if verdict.tell not in {Tell.MOVE, Tell.PAGE}:
            return False
        if verdict.since is None or verdict.since == self._told:
            return False
        self._told = verdict.since
        if verdict.tell is Tell.PAGE:
            self._paged = verdict.since
        news.move(verdict, page=verdict.tell is Tell.PAGE)
        self._hurry(verdict.state.value)
        return True

    def report_or_wait(self) -> None:
        """Report. If Redis is away, leave it to the next report."""
        with contextlib.suppress(RedisUnavailable):
            self.report()

    def moved(self, transition: str) -> None:
        """Log what this worker's script did to the fleet, and wake upkeep if codes may return."""
        self._hurry(transition)
        self.report_or_wait()

    def _hurry(self, transition: str) -> None:
        if transition in {State.TRIAL.value, State.SENDING.value, news.WIDENED}:
            self.wake()

    def leave(self) -> None:
        """Take this worker out of the fleet. If Redis is away, it is forgotten after a while."""
        with contextlib.suppress(redis.RedisError, OSError):
            self._client.hdel(f"{names.SENDING}:fleet", self._instance)

    def stand_aside(self) -> None:
        """Fetch nothing until the next report: another worker can send, and this one cannot."""
        self._credit.pause()


def configuration(settings: Settings) -> str:
    """Return a digest of address, account, key and mode: another key is another configuration."""
    apikey = settings.apikey.get_secret_value() if settings.apikey else ""
    parts = (settings.gateway_url, settings.account or "", apikey, str(settings.dynamic_password))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
