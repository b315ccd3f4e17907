"""The control API under `/_simulator/`: what a test, the demo or an operator may ask of the simulator."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from worker.simulator.bodies import JSON
from worker.simulator.scenarios import find
from worker.simulator.wire import Head, Response, http_reply

if TYPE_CHECKING:
    from worker.simulator.server import Simulator

PREFIX: Final = "/_simulator/"
REFUSE: Final = "refuse"

API: Final = (
    ("GET", "state", "", "the account, rates, outage, and counts of submissions, calls and connections"),
    ("GET", "submissions?mobile=&after=", "", "every form that arrived, oldest first; `after`: leave out so many"),
    ("GET", "calls?mobile=&after=", "", "only those for which a phone was called"),
    ("POST", "script", '`{"mobile": "13800138000", "scenarios": ["0", "silent:3", "2"]}`', "scenarios for one number, one a submission, then accepted"),
    ("POST", "rates", '`{"rates": {"0": 0.1, "reset_after_reading": 0.05}, "seed": 1}`', "scenarios by chance, for numbers without a scenario of their own"),
    ("POST", "account", '`{"scenario": "4050", "balance": 3}`', "one scenario for every submission; `null` mends it; calls left (at 0: 4051)"),
    ("POST", "outage", '`{"scenario": "http_503"}`', "the whole gateway: any scenario, e.g. `silent:600`, `reset_before_reading`; `null` ends it"),
    ("POST", "outage", '`{"scenario": "refuse", "seconds": 2}`', "nobody listens, this API included, for so long"),
    ("POST", "reset", "`{}`", "forget everything, submissions included"),
)  # fmt: skip
"""(method, path below PREFIX, body, what it does)"""

Handler = Callable[["Simulator", Mapping[str, Any]], dict[str, Any]]


def answer(simulator: "Simulator", head: Head, body: bytes) -> Response:
    """Carry out one control request."""
    name = head.path.removeprefix(PREFIX)
    handler = _HANDLERS.get((head.method, name))
    if handler is None:
        known = ", ".join(f"{method} {path.partition('?')[0]}" for method, path, _body, _text in API)
        return _json(404, {"error": f"no such request; there are: {known}"})
    try:
        query = {key: values[-1] for key, values in parse_qs(head.query).items()}
        given = json.loads(body or b"{}") if head.method == "POST" else query
        return _json(200, handler(simulator, given))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _json(400, {"error": f"{type(error).__name__}: {error}"})


def _json(status: int, value: Any) -> Response:
    return Response(steps=((0.0, http_reply(status, json.dumps(value).encode(), JSON)),))


def _state(simulator: "Simulator", _given: Mapping[str, Any]) -> dict[str, Any]:
    journal = simulator.journal
    return {
        "account": {"scenario": journal.account_scenario, "balance": journal.balance},
        "rates": journal.rates,
        "scripts": sum(bool(script) for script in journal.scripts.values()),
        "outage": simulator.outage,
        "submissions": len(journal.submissions),
        "calls": journal.calls,
        "redirects_followed": simulator.redirects_followed,
        "connections_open": len(simulator.connections),
        "connections_opened": simulator.connections_opened,
    }


def _submissions(simulator: "Simulator", given: Mapping[str, Any], *, called: bool = False) -> dict[str, Any]:
    mobile, after = given.get("mobile"), int(given.get("after", 0))
    found = [
        s for s in simulator.journal.submissions if mobile in {None, s.mobile} and (s.called or not called)
    ]
    return {"submissions": [dataclasses.asdict(s) for s in found[after:]]}


def _calls(simulator: "Simulator", given: Mapping[str, Any]) -> dict[str, Any]:
    return _submissions(simulator, given, called=True)


def _change(what: str) -> Handler:
    def handler(simulator: "Simulator", given: Mapping[str, Any]) -> dict[str, Any]:
        simulator.journal.change(what, given)
        if what == "reset":
            simulator.outage = None
            simulator.redirects_followed = 0
        return _state(simulator, {})

    return handler


def _outage(simulator: "Simulator", given: Mapping[str, Any]) -> dict[str, Any]:
    scenario = given["scenario"]
    if scenario == REFUSE:
        simulator.refuse(float(given["seconds"]))
        return _state(simulator, {})
    if scenario is not None:
        find(str(scenario))
    simulator.outage = scenario
    return _state(simulator, {})


_HANDLERS: Final[dict[tuple[str, str], Handler]] = {
    ("GET", "state"): _state,
    ("GET", "submissions"): _submissions,
    ("GET", "calls"): _calls,
    ("POST", "script"): _change("script"),
    ("POST", "rates"): _change("rates"),
    ("POST", "account"): _change("account"),
    ("POST", "reset"): _change("reset"),
    ("POST", "outage"): _outage,
}
