"""Accounts of the simulated gateway: their keys, the calls that are left, and what stops them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from worker.simulator.scenarios import find

DEFAULT_BALANCE: Final = 1_000_000


@dataclasses.dataclass(slots=True, kw_only=True)
class Account:
    """One account, as the provider sees it."""

    name: str
    """The APIID."""
    apikeys: tuple[str, ...] = dataclasses.field(repr=False)
    """Every key that is valid: several while a key is rotated."""
    balance: int = DEFAULT_BALANCE
    """Calls left. At 0 each submission is answered 4051."""
    scenario: str | None = None
    """What every submission meets, e.g. `4050`; None: the account works."""
    getnum_balance: int | None = None
    """What GetNum says in place of `balance`; None: the truth."""
    getnum_scenario: str | None = None
    """What GetNum meets although submissions may be accepted; None: what the account meets."""
    wrong_keys: int = 0
    """Submissions with a wrong key in a row."""

    def copy(self) -> "Account":
        """Return a copy that changes by itself."""
        return dataclasses.replace(self)

    def change(self, body: Mapping[str, Any]) -> None:
        """Take over the fields of a control request. Raises ValueError before it changes anything.

        `top_up` adds to the balance. `scenario` of None mends the account.
        """
        for field in ("scenario", "getnum_scenario"):
            if body.get(field) is not None:
                find(str(body[field]))
        balance = int(body.get("balance", self.balance)) + int(body.get("top_up", 0))
        getnum = body.get("getnum_balance", self.getnum_balance)
        getnum = None if getnum is None else int(getnum)
        apikeys = tuple(str(key) for key in body.get("apikeys", self.apikeys))
        self.balance, self.getnum_balance, self.apikeys = balance, getnum, apikeys
        self.getnum_scenario = body.get("getnum_scenario", self.getnum_scenario)
        if "scenario" in body:
            self.scenario = body["scenario"]
            self.wrong_keys = 0

    def state(self) -> dict[str, Any]:
        """Return what the control API shows: everything but the keys."""
        return {
            "scenario": self.scenario,
            "balance": self.balance,
            "getnum_balance": self.getnum_balance,
            "getnum_scenario": self.getnum_scenario,
        }
