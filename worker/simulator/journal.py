"""The simulator's memory: submissions, accounts and scripts, kept in a file that survives a kill.

The file has one JSON line for each submission, appended by one `write` before its reply leaves, and
one for each change by the control API. A simulator started on the same file carries on from it.
"""

import collections
import dataclasses
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from worker.simulator.accounts import Account
from worker.simulator.scenarios import find

WINDOW_SECONDS: Final = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One form that arrived, and what was done with it. Number and code stand here in full."""

    at: float
    """Epoch seconds."""
    mobile: str = dataclasses.field(repr=False)
    code: str = dataclasses.field(repr=False)
    scenario: str
    source: str
    """Who chose the scenario: `form`, `outage`, `address`, `account`, `rule`, `script`, `number`,
    `rate` or `none`."""
    reply: int | None
    """The reply code that was sent; None if the client gets none to read."""
    called: bool
    """Whether a call was placed: 2 was answered, or would have been."""
    voice_id: str
    signature: str
    """`plain`, `dynamic` or `wrong`."""
    method: str
    """POST or GET."""
    port: int
    """The client's port, which tells connections apart."""
    account: str = ""
    """The APIID of the form."""
    address: str = ""
    """The client's address."""


class Journal:
    """Submissions, scripts, rates and accounts. The first account is the default one.

    Raises ValueError for a change that names an unknown scenario or account.
    """

    def __init__(self, accounts: Sequence[Account], *, file: Path | None = None) -> None:
        self._first = tuple(account.copy() for account in accounts)
        self._file: int | None = None
        self._forget()
        if file is not None:
            self._load(file)
            self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _forget(self) -> None:
        self.submissions: list[Submission] = []
        self.calls = 0
        self.accounts = {account.name: account.copy() for account in self._first}
        self.addresses: dict[str, str] = {}
        """Client addresses that the gateway refuses, or treats badly, and the scenario of each."""
        self.rates: dict[str, float] = {}
        self.scripts: dict[str, collections.deque[str]] = {}
        self._random = random.Random(0)
        self._recent: dict[tuple[str, str], collections.deque[float]] = {}
        self._magic: collections.Counter[str] = collections.Counter()

    def write(self, submission: Submission) -> None:
        """Append a submission to the file, then remember it."""
        self._append({field: getattr(submission, field) for field in _FIELDS})
        self._remember(submission)

    def change(self, what: str, body: Mapping[str, Any]) -> None:
        """Carry out one change, a key of `_CHANGES`, and append it to the file."""
        _CHANGES[what](self, body)
        self._append({"change": what, "body": dict(body)})

    def freeze(self, account: Account, scenario: str) -> None:
        """Freeze an account, as the provider does by itself, until somebody mends it."""
        self.change("account", {"account": account.name, "scenario": scenario})

    def recent(self, account: str, mobile: str, now: float, seconds: float) -> int:
        """Return how many submissions to a number came in the last `seconds` (60 at most)."""
        return sum(at > now - seconds for at in self._recent.get((account, mobile), ()))

    def scripted(self, mobile: str) -> str | None:
        """Return the next scenario of a number's script. It is used up once it is written."""
        script = self.scripts.get(mobile)
        return script[0] if script else None

    def magic_count(self, mobile: str) -> int:
        """Return how often a magic number has met its scenario."""
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
        """Close the file."""
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
        account = self.accounts.get(submission.account)
        if submission.called:
            self.calls += 1
            if account is not None:
                account.balance = max(0, account.balance - 1)
        if submission.source == "script":
            self.scripts[submission.mobile].popleft()
        elif submission.source == "number":
            self._magic[submission.mobile] += 1
        if submission.source not in {"form", "outage", "address"}:
            times = self._recent.setdefault((submission.account, submission.mobile), collections.deque())
            while times and times[0] <= submission.at - WINDOW_SECONDS:
                times.popleft()
            times.append(submission.at)

    def _change_script(self, body: Mapping[str, Any]) -> None:
        mobile, scenarios = body["mobile"], list(body["scenarios"])
        _check_names(scenarios)
        self.scripts[str(mobile)] = collections.deque(scenarios)

    def _change_account(self, body: Mapping[str, Any]) -> None:
        name = body.get("account") or self._first[0].name
        if name not in self.accounts:
            message = f"no account is called {name!r}; there are: {', '.join(self.accounts)}"
            raise ValueError(message)
        self.accounts[name].change(body)
        if "scenario" in body and body["scenario"] is None:
            self._recent = {key: times for key, times in self._recent.items() if key[0] != name}

    def _change_address(self, body: Mapping[str, Any]) -> None:
        address, scenario = str(body["address"]), body["scenario"]
        if scenario is None:
            self.addresses.pop(address, None)
            return
        _check_names([scenario])
        self.addresses[address] = str(scenario)

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
    "address": Journal._change_address,  # noqa: SLF001 - the same
    "rates": Journal._change_rates,  # noqa: SLF001 - the same
    "reset": Journal._change_reset,  # noqa: SLF001 - the same
}
