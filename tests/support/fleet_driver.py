"""Drives several workers of one fleet step by step, with a clock that tests move."""

import dataclasses
import itertools
import json
from typing import Any, Final

from config import names
from config.replies import Row, Symptom
from tests.support.ledger_driver import REPLIES, LedgerDriver
from worker.ledger.claim import Answer, Claim
from worker.ledger.finish import Finished, Outcome
from worker.reply import Reply
from worker.retry import RetryPolicy
from worker.sending import Sending
from worker.sending.state import Sender, why
from worker.sending.verdict import Verdict, read_verdict
from worker.store import scripts
from worker.store.scripts import Script

ONE: Final = "one"
"""A configuration."""
OTHER: Final = "other"


def row_of(name: str) -> Row:
    """Return a row of the table by its name."""
    return next(row for row in REPLIES.rows if row.name == name)


@dataclasses.dataclass(slots=True)
class Worker:
    """One worker, and what it says of itself."""

    name: str
    config: str = ONE
    standby: bool = False
    unfit: Row | None = None


class FleetDriver(LedgerDriver):
    """A ledger, and workers that share it: `w1`, `w2`, `w3`, all of one configuration and fit."""

    def __init__(self, url: str, **values: Any) -> None:
        super().__init__(url, **values)
        self.workers = {name: Worker(name) for name in ("w1", "w2", "w3")}
        self._keys = itertools.count(1)
        self._policy = RetryPolicy.of(self.settings)
        self._report = Script(self.client, "sending/report")
        self._command = Script(self.client, "sending/command")

    def _act(self, name: str) -> None:
        worker = self.workers[name]
        self.sender = Sender(config=worker.config, host=name, fit=worker.unfit is None)

    def report(self, name: str = "w1", **heard: float) -> Verdict:
        """Have a worker say how it is, and what it has logged of the fleet."""
        worker = self.workers[name]
        said: dict[str, Any] = {"config": worker.config, "host": name}
        if worker.standby:
            said["standby"] = True
        if worker.unfit is not None:
            said["unfit"] = why(worker.unfit, self.settings.probe_seconds)
        answer = self._report(
            [names.SENDING],
            clock_offset=self.ledger.clock_offset,
            version=names.RECORD_VERSION,
            instance=name,
            said=json.dumps(said),
            **{"told": 0, "paged": 0, **heard},
        )
        return read_verdict(answer)

    def report_all(self) -> list[str]:
        """Have every worker report, and return the transitions that were made."""
        return [made for name in self.workers if (made := self.report(name).transition)]

    def becomes(self, row_name: str | None, *workers: str) -> list[str]:
        """Make workers unfit by a row, or fit; return the transitions that their reports made."""
        row = row_of(row_name) if row_name else None
        for name in workers or self.workers:
            self.workers[name].unfit = row
        return [made for name in workers or self.workers if (made := self.report(name).transition)]

    def command(self, command: str, *, who: str = "ops", note: str = "", **more: str) -> str:
        """Say something as a person does, or unblock a configuration; return the transition."""
        answer = self._command(
            [names.SENDING],
            clock_offset=self.ledger.clock_offset,
            version=names.RECORD_VERSION,
            command=command,
            who=who,
            note=note,
            purse=names.PURSE_PREFIX,
            **{"config": "", "row": "", "token": self.token(), **more},
        )
        return scripts.text(answer[0])

    def ask(self, name: str = "w1", key: str | None = None, *, mobile: str = "", **more: Any) -> Claim:
        """Claim a new code as this worker, or look at a known one again."""
        self._act(name)
        if key is not None and self.ledger.record(key) is not None:
            return self.ledger.resume(key, token=more.pop("token", None) or self.token(), worker=name)
        number = next(self._keys)
        code = dataclasses.replace(self.code(key or f"k{number}"), mobile=mobile or f"138{number:08}")
        return self.claim(code.key, code=code, **more)

    def call(self, name: str = "w1", key: str | None = None, **more: Any) -> Claim:
        """Claim a code that may be called."""
        claim = self.ask(name, key, **more)
        assert claim.answer is Answer.CALL, claim.answer
        return claim

    def end(self, claim: Claim, row_name: str, name: str = "w1") -> Finished:
        """Record how a call ended, with what the policy decides."""
        self._act(name)
        row = row_of(row_name)
        decision = self._policy.decide(
            row, tries=claim.tries(row), retry_after_seconds=None, seconds_left=claim.seconds_left
        )
        reply = Reply(symptom=row.symptom) if isinstance(row.symptom, Symptom) else Reply(code=row.code)
        return self.ledger.finish(
            Outcome(claim=claim, reply=reply, row=row, decision=decision, worker=name, in_fleet=True)
        )

    def meet(self, row_name: str, name: str = "w1", **more: Any) -> str:
        """Call a new code that meets this row; return what it did to the fleet."""
        return self.end(self.call(name, **more), row_name, name).transition

    def answers(self, count: int, name: str = "w1") -> list[str]:
        """Ask for so many new codes; return the answers."""
        return [self.ask(name).answer.value for _ in range(count)]

    @property
    def sending(self) -> Sending:
        """The fleet's record."""
        values: Any = self.client.hgetall(names.SENDING)
        return Sending.from_hash(values)

    @property
    def audit(self) -> list[tuple[str, str]]:
        """Action and author of each line of the audit trail."""
        entries: Any = self.client.xrange(names.AUDIT)
        return [(fields["action"], fields["operator"]) for _, fields in entries]
