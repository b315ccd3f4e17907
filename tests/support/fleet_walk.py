"""Random steps of a fleet, on the scripts and on their model, with the fleet's promises checked.

`tests/integration/test_fleet_model.py` runs it. What each worker meets is told by what is wrong
with the world at the time; nothing else is chosen for it.
"""

import collections
import itertools
import random
import time
from typing import Any, Final

from config import names
from config.replies import Row, Spends
from tests.support.fleet_driver import ONE, OTHER, FleetDriver, row_of
from tests.support.fleet_model import WIDE, FleetModel
from tests.support.fleet_promises import (
    PER_MINUTE,
    Call,
    Claims,
    agree,
    limited,
    nobody_is_called_too_often,
    what_never_left_lives,
)
from worker.ledger.claim import Answer
from worker.retry import Reason
from worker.sending.fitness import Fitness, observe, recovered

TICK: Final = 4
DRIFT_SECONDS: Final = 0.8
"""How much real time a walk may take before its moments can no longer be told apart."""
UNFIT_AFTER: Final = 2
MOBILES: Final = ("13800000001", "13800000002")
WRONG: Final[dict[str, dict[str, str]]] = {
    "nothing": {},
    "away": dict.fromkeys(("w1", "w2", "w3"), "connect_refused"),
    "resets": dict.fromkeys(("w1", "w2", "w3"), "reset"),
    "zeros": dict.fromkeys(("w1", "w2", "w3"), "0"),
    "empty": {"w1": "4051", "w2": "4051"},
    "frozen": {"w1": "4050", "w2": "4050"},
    "all frozen": dict.fromkeys(("w1", "w2", "w3"), "4050"),
    "host": {"w2": "4052"},
    "wrong key": {"w3": "405"},
}
"""What is wrong with the world -> worker -> the row that its forms meet."""
GATED: Final = {"call", "parked", "elsewhere", "limited"}


class FleetWalk:
    """One walk, told by its seed. `driver`: on an empty server."""

    def __init__(self, url: str, seed: int) -> None:
        self.driver = FleetDriver(url, number_per_minute=PER_MINUTE, max_attempts=20, ambiguous_retries=4)
        self.driver.client.flushall()
        self.driver.workers["w3"].config = OTHER
        self.random = random.Random(seed)
        self.model = FleetModel()
        self.fitness = dict.fromkeys(self.driver.workers, Fitness())
        self.alive = set(self.driver.workers)
        self.wrong = "nothing"
        self.calls: list[Call] = []
        self.owner: dict[str, str] = {}
        self.refused_on: dict[str, str] = {}
        self.keys = itertools.count(1)
        self.claimed: dict[str, Claims] = collections.defaultdict(list)
        self.answers: collections.Counter[str] = collections.Counter()
        self.history: list[str] = []
        self.began = time.monotonic()
        for name in self.driver.workers:
            self._report(name)

    def go(self, length: int) -> None:
        """Take the steps; check everything after each."""
        for step in self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length):
            if time.monotonic() - self.began > DRIFT_SECONDS:
                return
            getattr(self, step)()
            agree(self.driver, self.model, self.calls)
        nobody_is_called_too_often(self.claimed, self.random)
        what_never_left_lives(self.driver)
        self._returns()

    def said(self, step: str, answer: object, expected: object, *facts: object) -> None:
        self.answers[f"{step} {answer}"] += 1
        self.history.append(
            f"{self.model.now} s, {self.wrong}: {step} {' '.join(map(str, facts))} -> {answer}"
        )
        assert answer == expected, step

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    # -- workers

    def _report(self, name: str) -> None:
        worker = self.driver.workers[name]
        worker.unfit = self.fitness[name].unfit
        made = self.driver.report(name).transition
        expected = self.model.report(name, worker.config, worker.unfit)
        self._adopt_row()
        self.said("report", made, expected, name, worker.unfit.name if worker.unfit else "fit")

    def report(self) -> None:
        """Have the workers that are alive say how they are."""
        for name in self.random.sample(sorted(self.alive), len(self.alive)):
            self._report(name)

    def probe(self) -> None:
        """Have a worker look for itself: GetNum is answered, or it tries again after a while."""
        name = self.one(*self.driver.workers)
        unfit, meets = self.fitness[name].unfit, WRONG[self.wrong].get(name)
        if unfit is not None and (
            self.model.state == "sending" if unfit.name == "0" else meets != "connect_refused"
        ):
            self.fitness[name] = recovered(self.fitness[name])
            self._report(name)
        config = self.driver.workers[name].config
        if meets != "4051":
            made = self.driver.command("unblock", config=config, row="4051")
            self.said("unblock", made, self.model.unblock(config, "4051"), config)

    def leave_or_return(self) -> None:
        """Let a worker die or start anew: it was heard of last when it reported."""
        name = self.one(*self.driver.workers)
        if name in self.alive and len(self.alive) > 1:
            self.alive.remove(name)
            self.calls = [call for call in self.calls if call.worker != name]
        else:
            self.alive.add(name)
            self.fitness[name] = Fitness()
            self._report(name)

    def goes_wrong(self) -> None:
        """Change what is wrong with the world."""
        self.wrong = self.one("nothing", "nothing", *WRONG)

    # -- codes

    def _ask(self, name: str, key: str, mobile: str, token: str) -> Answer:
        record = self.driver.ledger.record(key)
        state, generation = self.model.state, self.model.generation
        claim = self.driver.ask(name, key, token=token, mobile=mobile)
        answer = claim.answer.value
        permanent = answer == "buried" and claim.reason == Reason.PERMANENT.value
        if answer not in GATED and not permanent:
            self.said("claim", answer, answer, name, key, token)
            if answer == "buried":
                self.owner[key] = token
            return claim.answer
        if answer == "limited":
            limited(self.driver, self.claimed[mobile])
        worker = self.driver.workers[name]
        if record is not None and self.owner.get(key) == token and record.state == "calling":
            expected = "call"
        elif answer == "limited":
            # The gate stands before it.
            expected = answer if state in {"sending", "trial"} else "not limited"
        else:
            expected = self.model.claim(
                name,
                worker.config,
                fit=worker.unfit is None,
                token=token,
                refused_on=self.refused_on.get(key, ""),
            )
        self.said("claim", "refused" if permanent else answer, expected, name, key, token)
        if permanent:
            self.owner[key] = token
        if claim.answer is Answer.CALL and self.owner.get(key) != token:
            # F1, without the model: nobody is called in a generation that does not send.
            assert state in {"sending", "trial"}
            self.owner[key] = token
            self.calls.append(Call(claim, name, generation, self.model.now, mobile))
            self.claimed[mobile].append((self.driver.now, token))
        return claim.answer

    def claim(self) -> None:
        """Look at a new code, or at one that waits."""
        name = self.one(*sorted(self.alive))
        waiting: Any = self.driver.client.zrangebyscore(names.DUE, "-inf", self.driver.now)
        if waiting and self.random.random() < 0.5:
            key = self.one(*waiting)
            record = self.driver.record(key)
            self._ask(name, key, record.mobile or "", self.driver.token())
        else:
            self._ask(name, f"k{next(self.keys)}", self.one(*MOBILES), self.driver.token())

    def repeat_claim(self) -> None:
        """Have a claim reach Redis once more, with its own token."""
        if self.calls:
            call = self.one(*self.calls)
            if self.owner[call.claim.key] == call.claim.token:
                self._ask(call.worker, call.claim.key, call.mobile, call.claim.token)

    def finish(self) -> None:
        """End a call as the world has it, in time or late; now and then twice."""
        if not self.calls:
            return
        call = self.one(*self.calls)
        self.calls.remove(call)
        row = row_of(WRONG[self.wrong].get(call.worker) or self.one("2", "2", "2", "2", "406"))
        self._end(call, row)

    def _end(self, call: Call, row: Row) -> None:
        key, token = call.claim.key, call.claim.token
        current = self.owner[key] == token and call.generation == self.model.generation
        self.driver.ledger._note_at = 0.0
        finished = self.driver.end(call.claim, row.name, call.worker)
        if row.spends is Spends.NOTHING:
            self.claimed[call.mobile] = [one for one in self.claimed[call.mobile] if one[1] != token]
        expected = self.model.finish(token, self.driver.workers[call.worker].config, row, current=current)
        self._adopt_row()
        self.said("finish", finished.transition, expected, call.worker, key, row.name)
        if finished.recorded.value == "waiting" and row.name == "4052":
            self.refused_on[key] = call.worker
        if self.random.random() < 0.1:
            again = self.driver.end(call.claim, row.name, call.worker)
            self.said("finish again", again.recorded.value, "done", key)
        before = self.fitness[call.worker].unfit
        self.fitness[call.worker] = observe(self.fitness[call.worker], row, call.mobile, UNFIT_AFTER)
        if self.fitness[call.worker].unfit is not before:
            self._report(call.worker)

    def die(self) -> None:
        """Let a worker die in a call: nobody ever says how it ended."""
        if self.calls:
            self.calls.remove(self.one(*self.calls))

    # -- people and time

    def hold(self) -> None:
        """Stop it by a person's word."""
        self.said("hold", self.driver.command("hold"), self.model.hold())

    def resume(self) -> None:
        """Resume it by a person's word."""
        self.said("resume", self.driver.command("resume"), self.model.resume())

    def pass_time(self) -> None:
        """Let the clock go on."""
        self._later(self.one(1, 1, 1, 2, 3, 4, 15, self.one(4, 16, 151)))

    def _later(self, ticks: int) -> None:
        self.model.now += ticks * TICK
        # A little more than the model's: each moment of Redis' lies just behind the model's.
        self.driver.later(ticks * TICK + 0.002)

    # -- what must hold

    def _adopt_row(self) -> None:
        """Take the row that was taken, where as many workers suffer from one as from another."""
        taken = self.driver.sending.row
        if self.model.row is not None and taken in self.model.rows:
            self.model.row = row_of(taken)

    def _returns(self) -> None:
        """F2: with nothing wrong and one fit worker it sends within its cap, or after a person."""
        if self.random.random() < 0.5:
            self.hold()
            self.resume()
            self._ask("w1", f"k{next(self.keys)}", f"139{next(self.keys):08}", self.driver.token())
        self.wrong, self.alive, self.calls = "nothing", {"w1"}, []
        self.fitness["w1"] = recovered(self.fitness["w1"])
        self._later(2)
        self._report("w1")  # the others are not heard of any more
        if self.model.state == "held" or (self.model.state == "stopped" and ONE in self.model.blocked):
            row = self.model.row
            if self.model.state == "held" or (row and row.mends.value == "person"):
                self._later(2000)
                self._report("w1")
                assert self.model.state in {"held", "stopped"}
                self.resume()
        seconds = self.model.cap if self.model.state == "stopped" and self.model.row else 0
        self._later(int(seconds) // TICK + 1)
        for _ in range(4):
            self._report("w1")
            for _ in range(WIDE + 1):
                key, mobile = f"k{next(self.keys)}", f"139{next(self.keys):08}"
                if self._ask("w1", key, mobile, self.driver.token()) is Answer.CALL:
                    self._end(self.calls.pop(), row_of("2"))
            self._later(2)
            self._report("w1")
            agree(self.driver, self.model, self.calls)
        assert self.model.state == "sending"

    def close(self) -> None:
        """Let go of the connections."""
        self.driver.close()


WEIGHTS: Final = {
    "claim": 30,
    "repeat_claim": 3,
    "finish": 30,
    "die": 3,
    "report": 10,
    "probe": 8,
    "leave_or_return": 2,
    "goes_wrong": 6,
    "hold": 1,
    "resume": 2,
    "pass_time": 14,
}
"""How often each step is taken."""
