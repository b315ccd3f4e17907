"""What the scripts promise of the fleet, in plain Python: whether it sends, and who may call.

The clock stands still between steps and moves in steps of four seconds, so a moment is never close
to one of the scripts' bounds.
"""

import dataclasses
import math
from typing import Final

from config.replies import Mends, Row
from worker.sending.state import Effect, effect_of, why

PROBE_SECONDS: Final = 15.0
LEASE: Final = 15
LIVE, IDLE, FORGET, MINUTE = 6, 5, 600, 60
NARROW, WIDE = 1, 10
LONG_AGO: Final = -math.inf


@dataclasses.dataclass(slots=True)
class Said:
    """What a worker said last."""

    at: int
    config: str
    unfit: Row | None


class FleetModel:
    """The record, what stands beside it, and the transitions."""

    def __init__(self) -> None:
        self.now = 0
        self.state = "sending"
        self.generation = self.failures = self.accepted = 0
        self.row: Row | None = None
        self.rows: set[str] = set()
        """Names that the row may have, where as many workers suffer from one as from another."""
        self.since = self.active_at = LONG_AGO
        self.forced = False
        self.width = NARROW
        self.trial: dict[str, int] = {}
        self.said: dict[str, Said] = {}
        self.blocked: dict[str, Row] = {}
        self.accepted_at: dict[str, float] = {}
        self.strikes: dict[str, int] = {}

    def past(self, moment: float, seconds: float) -> bool:
        """Return whether so much time has passed since."""
        return self.now - moment >= seconds

    def report(self, name: str, config: str, unfit: Row | None) -> str:
        """Return the transition."""
        self.said[name] = Said(self.now, config, unfit)
        return self._review()

    def hold(self) -> str:
        """Return the transition."""
        return "" if self.state == "held" else self._move("held")

    def resume(self) -> str:
        """Return the transition."""
        unblocked = "unblocked" if self.blocked else ""
        self.blocked.clear()
        if self.state == "sending":
            return unblocked
        self.failures, self.forced = 0, True
        return self._move("trial")

    def unblock(self, config: str, row: str) -> str:
        """Return the transition."""
        if config not in self.blocked or self.blocked[config].name != row:
            return ""
        del self.blocked[config]
        return self._review()

    def claim(self, worker: str, config: str, *, fit: bool, token: str, refused_on: str) -> str:
        """Return `call`, `parked`, `refused` or `elsewhere`, where the number may be called."""
        if self.state == "stopped" and self.row is not None and self.row.mends.value == "person":
            return "refused"
        if self.state in {"stopped", "held"}:
            return "parked"
        able = fit and config not in self.blocked
        if self.state == "sending" and not able:
            return "elsewhere"
        if self.state == "trial" and not (able or (self.forced and self._open(config))):
            return "parked"
        others = (name for name, said in self._live() if name != worker and not self._why(said))
        if refused_on == worker and any(others):
            return "elsewhere"
        return "call" if self.state == "sending" or self._enter(token) else "parked"

    def _enter(self, token: str) -> bool:
        self.trial = self._on_trial()
        self.active_at = self.now
        if len(self.trial) >= self.width:
            return False
        self.trial[token] = self.now
        return True

    def _on_trial(self) -> dict[str, int]:
        return {one: at for one, at in self.trial.items() if not self.past(at, LEASE)}

    def finish(self, token: str, config: str, row: Row, *, current: bool) -> str:
        """Return what it did. `current`: its claim still holds, and is of this generation."""
        effect = effect_of(row)
        if effect is Effect.GOOD:
            self.accepted_at[config] = self.now
            self.strikes.pop(config, None)
        self.trial.pop(token, None)
        if not current or self.state == "held":
            return ""
        news = "blocked" if effect is Effect.BLOCKS and self._block(config, row) else ""
        if self.state == "trial":
            self.active_at = self.now
            return self._judge(config, row, effect) or news
        if self.state == "sending" and news and self._live() and not self._able():
            return self._stop(self._majority())
        return news

    def _judge(self, config: str, row: Row, effect: Effect) -> str:
        if effect is Effect.GOOD:
            self.blocked.pop(config, None)
            self.accepted += 1
            if self.accepted == 1:
                self.width, self.forced = WIDE, self.forced and not self._able()
            if self.accepted > WIDE:
                return self._move("sending")
            return "widened" if self.accepted == 1 else ""
        same = self.row is not None and row.name == self.row.name
        if effect is Effect.FAILS and row.mends is Mends.PERSON:
            self.forced = False
        elif effect is Effect.FAILS and (same or self.forced):
            return self._stop([row])
        if effect is Effect.BLOCKS and config in self.blocked:
            if not self._able():
                return self._stop(self._majority() or [row])
            self.forced = False
        return ""

    def _block(self, config: str, row: Row) -> bool:
        if not self.past(self.accepted_at.get(config, LONG_AGO), MINUTE):
            self.strikes[config] = self.strikes.get(config, 0) + 1
            if self.strikes[config] < 2:
                return False
        new = config not in self.blocked
        self.blocked[config] = row
        return new

    def _live(self) -> list[tuple[str, Said]]:
        return [(name, said) for name, said in self.said.items() if not self.past(said.at, LIVE)]

    def _open(self, config: str) -> bool:
        return config not in self.blocked or self.blocked[config].mends is not Mends.PERSON

    def _why(self, said: Said) -> Row | None:
        block = self.blocked.get(said.config)
        return said.unfit if said.unfit and self._open(said.config) else block

    def _able(self) -> bool:
        return any(self._why(said) is None for _, said in self._live())

    def _majority(self) -> list[Row]:
        rows = [row for _, said in self._live() if (row := self._why(said))]
        rows = [row for row in rows if row.mends is Mends.TIME] or rows
        names = [row.name for row in rows]
        most = max(map(names.count, names), default=0)
        return [row for row in rows if names.count(row.name) == most]

    def _review(self) -> str:
        if self.state == "held" or not self._live():
            return ""
        able, forced = self._able(), self.state == "trial" and self.forced
        may_try = forced and any(self._open(said.config) for _, said in self._live())
        if self.state in {"sending", "trial"} and not (able or may_try):
            return self._stop(self._majority())
        if self.state == "trial" and able:
            self.forced = forced and not self.accepted
            if self.past(self.active_at, IDLE) and not self._on_trial():
                return self._move("sending")
        return self._leave_stop(able=able) if self.state == "stopped" else ""

    def _leave_stop(self, *, able: bool) -> str:
        assert self.row is not None
        pause = min(60, 3 * 2 ** min(self.failures, 5)) if self.failures else 0
        if able and self.past(self.since, pause):
            self.forced = False
            return self._move("trial")
        if self.row.mends.value == "time" and self.past(self.since, self.cap):
            self.forced = True
            return self._move("trial")
        return ""

    @property
    def cap(self) -> float:
        """Seconds after which a stop gets a trial by time alone."""
        assert self.row is not None
        seconds = float(why(self.row, PROBE_SECONDS)["cap"])
        return min(3600.0, seconds * 2 ** min(self.failures, 5)) if self.row.name == "4051" else seconds

    def _stop(self, rows: list[Row]) -> str:
        if self.state == "trial":
            self.failures += 1
        elif self.past(self.since, FORGET):
            self.failures = 0
        self.row, self.rows, self.forced = rows[0], {row.name for row in rows}, False
        return self._move("stopped")

    def _move(self, state: str) -> str:
        self.state, self.since, self.active_at = state, self.now, self.now
        self.generation += 1
        self.width, self.accepted = NARROW, 0
        self.trial.clear()
        return state
