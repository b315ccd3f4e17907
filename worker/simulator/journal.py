"""The simulator's memory: every submission and the account's state, kept in a journal that survives a kill.

The journal is a file of JSON lines, each appended by one `write` before the reply leaves: submissions, and what the
control API changed. A simulator that is started on the same file goes on where the last one ended.
"""

import collections
import dataclasses
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from worker.simulator.scenarios import find

WINDOW_SECONDS: Final = 60.0
DEFAULT_BALANCE: Final = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One form that arrived, and what was done with it. The simulator's own record: number and code in full."""

    at: float
    """Epoch seconds."""
    mobile: str = dataclasses.field(repr=False)
    code: str = dataclasses.field(repr=False)
    scenario: str
    source: str
    """Who chose the scenario: `form`, `outage`, `account`, `rule`, `script`, `number`, `rate` or `none`."""
    reply: int | None
    """The reply code that was sent; None where the client gets none to read."""
    called: bool
    """Whether a call was placed: 2 was answered, or would have been."""
    voice_id: str
    signature: str
    """`plain`, `dynamic` or `wrong`."""
    method: str
    """POST or GET."""
    port: int
    """The client's, which tells connections apart."""


class Journal:
    """Submissions, scripts, rates and the account. Raises ValueError where a change names no scenario."""

    def __init__(self, *, balance: int = DEFAULT_BALANCE, file: Path | None = None) -> None:
        self._first_balance = balance
        self._file: int | None = None
        self._forget()
        if file is not None:
            self._load(file)
            self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _forget(self) -> None:
        self.submissions: list[Submission] = []
        self.calls = 0
        self.balance = self._first_balance
        self.account_scenario: str | None = None
        self.rates: dict[str, float] = {}
        self.scripts: dict[str, collections.deque[str]] = {}
        self.wrong_keys = 0
        self._random = random.Random(0)
        self._recent: dict[str, collections.deque[float]] = {}
        self._magic: collections.Counter[str] = collections.Counter()

    def write(self, submission: Submission) -> None:
        """Put a submission on the journal, then into memory."""
        self._append({field: getattr(submission, field) for field in _FIELDS})
        self._remember(submission)

    def change(self, what: str, body: Mapping[str, Any]) -> None:
        """Carry out one change (`script`, `account`, `rates` or `reset`) and put it on the journal."""
        _CHANGES[what](self, body)
        self._append({"change": what, "body": dict(body)})

    def freeze(self, scenario: str) -> None:
        """Freeze the account, as the gateway does by itself, until somebody mends it."""
        self.change("account", {"scenario": scenario})

    def recent(self, mobile: str, now: float, seconds: float) -> int:
        """Return how many submissions for a number came within the last `seconds` (60 at most), the present one not counted."""
        return sum(at > now - seconds for at in self._recent.get(mobile, ()))

    def scripted(self, mobile: str) -> str | None:
        """Return the next scenario of a number's script. It is used up once it is written."""
        script = self.scripts.get(mobile)
        return script[0] if script else None

    def magic_count(self, mobile: str) -> int:
        """Return how often a magic number had its scenario."""
        return self._magic[mobile]

    def drawn(self) -> str | None:
        """Draw a scenario by the rates; None: none."""
        if not self.rates:
            return None
        left = self._random.random()
        for scenario, rate in self.rates.items():
            left -= rate
            if left < 0:
                return scenario
        return None

    def close(self) -> None:
        """Close the journal."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def _load(self, file: Path) -> None:
        if not file.exists():
            return
        for line in file.read_bytes().splitlines():
            entry = json.loads(line)
            if "change" in entry:
                _CHANGES[entry["change"]](self, entry["body"])
            else:
                self._remember(Submission(**entry))

    def _remember(self, submission: Submission) -> None:
        self.submissions.append(submission)
        if submission.called:
            self.calls += 1
            self.balance = max(0, self.balance - 1)
        if submission.source == "script":
            self.scripts[submission.mobile].popleft()
        elif submission.source == "number":
            self._magic[submission.mobile] += 1
        if submission.source not in {"form", "outage"}:
            times = self._recent.setdefault(submission.mobile, collections.deque())
            while times and times[0] <= submission.at - WINDOW_SECONDS:
                times.popleft()
            times.append(submission.at)

    def _change_script(self, body: Mapping[str, Any]) -> None:
        mobile, scenarios = body["mobile"], list(body["scenarios"])
        _check_names(scenarios)
        self.scripts[str(mobile)] = collections.deque(scenarios)

    def _change_account(self, body: Mapping[str, Any]) -> None:
        if "scenario" in body:
            if body["scenario"] is not None:
                _check_names([body["scenario"]])
            else:
                self._recent.clear()
                self.wrong_keys = 0
            self.account_scenario = body["scenario"]
        if "balance" in body:
            self.balance = int(body["balance"])

    def _change_rates(self, body: Mapping[str, Any]) -> None:
        rates = {str(scenario): float(rate) for scenario, rate in body["rates"].items()}
        _check_names(list(rates))
        if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1:
            message = "rates must be 0 or more, and their sum at most 1"
            raise ValueError(message)
        self.rates = rates
        self._random = random.Random(int(body.get("seed", 0)))

    def _change_reset(self, _body: Mapping[str, Any]) -> None:
        self._forget()


def _check_names(scenarios: Sequence[Any]) -> None:
    for scenario in scenarios:
        find(str(scenario))


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Submission))
_CHANGES: Final[dict[str, Callable[[Journal, Mapping[str, Any]], None]]] = {
    "script": Journal._change_script,  # noqa: SLF001 - the table of this module's own changes
    "account": Journal._change_account,  # noqa: SLF001 - the same
    "rates": Journal._change_rates,  # noqa: SLF001 - the same
    "reset": Journal._change_reset,  # noqa: SLF001 - the same
}
