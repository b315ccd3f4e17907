"""SimulatorClient: the control API as methods, for the demo, the tests, and an operator's shell."""

import dataclasses
import json
import ssl
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
    """Talks to the simulator at `address`, e.g. `http://127.0.0.1:8080`."""

    address: str
    ca_file: str | None = None

    def state(self) -> dict[str, Any]:
        """Return the account's state and the counts."""
        return self._ask("state")

    def submissions(self, mobile: str | None = None, *, after: int = 0) -> list[Submission]:
        """Return what arrived, oldest first, without the first `after` of them."""
        return self._list("submissions", mobile, after)

    def calls(self, mobile: str | None = None, *, after: int = 0) -> list[Submission]:
        """Return the submissions for which a phone was called."""
        return self._list("calls", mobile, after)

    def script(self, mobile: str, scenarios: Sequence[str]) -> None:
        """Set what the next submissions for a number meet, one scenario each; then it is accepted."""
        self._ask("script", {"mobile": mobile, "scenarios": list(scenarios)})

    def rates(self, rates: Mapping[str, float], *, seed: int = 0) -> None:
        """Set scenarios by chance; an empty mapping ends it."""
        self._ask("rates", {"rates": dict(rates), "seed": seed})

    def account(self, scenario: str | None) -> None:
        """Have every submission meet one scenario (`4050`); None mends the account."""
        self._ask("account", {"scenario": scenario})

    def balance(self, calls_left: int) -> None:
        """Set how many calls are left."""
        self._ask("account", {"balance": calls_left})

    def outage(self, scenario: str | None) -> None:
        """Have the whole gateway answer with one scenario, without judging forms; None ends it."""
        self._ask("outage", {"scenario": scenario})

    def refuse(self, seconds: float) -> None:
        """Have nobody listen for so long; open connections are reset."""
        self._ask("outage", {"scenario": REFUSE, "seconds": seconds})

    def reset(self) -> None:
        """Forget everything, submissions included."""
        self._ask("reset", {})

    def _list(self, what: str, mobile: str | None, after: int) -> list[Submission]:
        query = urlencode({"after": after, **({"mobile": mobile} if mobile else {})})
        return [Submission(**entry) for entry in self._ask(f"{what}?{query}")["submissions"]]

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{PREFIX}{path}", data=data)  # noqa: S310 - an address of our own
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        # No proxy of the environment may stand between us and our own process.
        handlers = [
            urllib.request.ProxyHandler({}),
            *([urllib.request.HTTPSHandler(context=context)] if context else []),
        ]
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_SECONDS) as reply:
                return dict(json.load(reply))
        except urllib.error.HTTPError as error:
            with error:
                raise SimulatorError(json.load(error)["error"]) from None
