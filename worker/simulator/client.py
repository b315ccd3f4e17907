"""SimulatorClient: the control API as methods, for the demo, the tests, and an operator's shell."""

import dataclasses
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from worker.simulator.control import PREFIX, REFUSE
from worker.simulator.journal import Submission

_TIMEOUT_SECONDS: Final = 10.0


class SimulatorError(Exception):
    """The simulator refused a control request; the text is its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class SimulatorClient:
    """Talks to the control API at `address`, e.g. `http://127.0.0.1:8081`.

    In its methods `account` is an APIID; without one the simulator's first account is meant.
    """

    address: str

    def state(self) -> dict[str, Any]:
        """Return accounts, addresses, outage and counts."""
        return self._ask("state")

    def submissions(self, mobile: str | None = None, *, after: int = 0) -> list[Submission]:
        """Return what arrived, oldest first, without the first `after` of them."""
        return self._list("submissions", mobile, after)

    def calls(self, mobile: str | None = None, *, after: int = 0) -> list[Submission]:
        """Return the submissions for which a phone was called."""
        return self._list("calls", mobile, after)

    def script(self, mobile: str, scenarios: Sequence[str]) -> None:
        """Set what the next submissions to a number meet, one scenario each; then acceptance."""
        self._ask("script", {"mobile": mobile, "scenarios": list(scenarios)})

    def rates(self, rates: Mapping[str, float], *, seed: int = 0) -> None:
        """Set scenarios by chance; an empty mapping ends it."""
        self._ask("rates", {"rates": dict(rates), "seed": seed})

    def account(self, scenario: str | None, *, account: str | None = None) -> None:
        """Have every submission meet one scenario (`4050`); None mends the account."""
        self._ask("account", {"scenario": scenario, "account": account})

    def balance(self, calls_left: int, *, account: str | None = None) -> None:
        """Set how many calls are left."""
        self._ask("account", {"balance": calls_left, "account": account})

    def top_up(self, calls: int, *, account: str | None = None) -> None:
        """Add calls to those that are left."""
        self._ask("account", {"top_up": calls, "account": account})

    def getnum(
        self, *, balance: int | None = None, scenario: str | None = None, account: str | None = None
    ) -> None:
        """Set what GetNum says, whatever Submit does; without arguments, the truth."""
        body = {"getnum_balance": balance, "getnum_scenario": scenario, "account": account}
        self._ask("account", body)

    def apikeys(self, *apikeys: str, account: str | None = None) -> None:
        """Set the keys that are valid from now on."""
        self._ask("account", {"apikeys": list(apikeys), "account": account})

    def client_address(self, address: str, scenario: str | None) -> None:
        """Have submissions from a client's address meet one scenario (`4052`); None ends it."""
        self._ask("address", {"address": address, "scenario": scenario})

    def outage(self, scenario: str | None, *, seconds: float | None = None) -> None:
        """Have the whole gateway answer with one scenario, without judging forms; None ends it."""
        self._ask("outage", {"scenario": scenario, "seconds": seconds})

    def refuse(self, seconds: float | None = None, *, share: float = 1.0, seed: int = 0) -> None:
        """Have nobody listen, or only for a share of the connections, until `outage(None)`.

        With a share of 1 open connections are reset; with less each reply closes its connection.
        """
        self._ask("outage", {"scenario": REFUSE, "seconds": seconds, "share": share, "seed": seed})

    def reset(self) -> None:
        """Forget everything, submissions included."""
        self._ask("reset", {})

    def _list(self, what: str, mobile: str | None, after: int) -> list[Submission]:
        query = urlencode({"after": after, **({"mobile": mobile} if mobile else {})})
        return [Submission(**entry) for entry in self._ask(f"{what}?{query}")["submissions"]]

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{PREFIX}{path}", data=data)  # noqa: S310 - an address of our own
        # No proxy of the environment may stand between us and our own process.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
                return dict(json.load(reply))
        except urllib.error.HTTPError as error:
            with error:
                raise SimulatorError(json.load(error)["error"]) from None
