"""The control API under `/_simulator/`, for tests, the demo and operators."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from worker.simulator import panel
from worker.simulator.bodies import HTML, JSON
from worker.simulator.wire import Head, Response, http_reply

if TYPE_CHECKING:
    from worker.simulator.server import Simulator

PREFIX: Final = "/_simulator/"
REFUSE: Final = "refuse"
"""The outage in which nobody listens on the gateway's port."""

API: Final = (
    ("GET", "", "", "a page for a browser, from which the requests below can be sent"),
    ("GET", "state", "", "accounts, addresses, rates, outage, and counts of submissions, calls and connections"),
    ("GET", "submissions?mobile=&after=", "", "every form that arrived, oldest first; `after`: leave out so many"),
    ("GET", "calls?mobile=&after=", "", "only those for which a phone was called"),
    ("POST", "script", '{"mobile": "13800138000", "scenarios": ["0", "silent:3", "2"]}', "scenarios for one number, one a submission; after them it is accepted"),
    ("POST", "rates", '{"rates": {"0": 0.1, "reset_after_reading": 0.05}, "seed": 1}', "scenarios by chance, for numbers that have none of their own"),
    ("POST", "account", '{"balance": 3}', "calls left; each accepted call takes one, and at 0 the reply is 4051"),
    ("POST", "account", '{"top_up": 500}', "add calls"),
    ("POST", "account", '{"scenario": "4050"}', "every submission meets it; `null` mends the account, a frozen one, too"),
    ("POST", "account", '{"getnum_balance": 500, "getnum_scenario": null}', "what GetNum says, whatever Submit does; `null`: the truth"),
    ("POST", "account", '{"account": "APIID", "apikeys": ["new", "old"]}', "the keys that are valid now; any of the fields above may go with `account`, else the first account is meant"),
    ("POST", "address", '{"address": "10.0.0.2", "scenario": "4052"}', "what submissions from one client address meet; `null` ends it"),
    ("POST", "outage", '{"scenario": "http_502", "seconds": 45}', "what every request meets: any scenario, e.g. `0`, `html`, `silent:600`, `reset_before_reading`; without `seconds` until `null`"),
    ("POST", "outage", '{"scenario": "refuse", "seconds": 45}', "nobody listens; open connections are reset"),
    ("POST", "outage", '{"scenario": "refuse", "share": 0.3, "seed": 1}', "connections are refused at random; each reply closes its connection meanwhile"),
    ("POST", "reset", "{}", "forget everything, submissions included"),
)  # fmt: skip
"""(method, path below PREFIX, example of a body, what it does)"""

Handler = Callable[["Simulator", Mapping[str, Any]], dict[str, Any]]


def answer(simulator: "Simulator", head: Head, body: bytes) -> Response:
    """Return the response to one control request."""
    name = head.path.removeprefix(PREFIX)
    if (head.method, name) == ("GET", ""):
        return _reply(200, panel.page(API).encode(), HTML)
    query = {key: values[-1] for key, values in parse_qs(head.query).items()}
    try:
        given = json.loads(body or b"{}") if head.method == "POST" else query
        status, value = 200, carry_out(simulator, head.method, name, given)
    except LookupError as error:
        status, value = 404, {"error": str(error.args[0])}
    except ValueError as error:
        status, value = 400, {"error": f"ValueError: {error}"}
    return _reply(status, json.dumps(value).encode(), JSON)


def carry_out(simulator: "Simulator", method: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one request and return its answer.

    Raises LookupError if there is no such request, ValueError if its body cannot be used.
    """
    handler = _HANDLERS.get((method, name))
    if handler is None:
        known = ", ".join(dict.fromkeys(f"{method} {path.partition('?')[0]}" for method, path, *_ in API))
        message = f"no such request; there are: {known}"
        raise LookupError(message)
    try:
        return handler(simulator, given)
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the body cannot be used: {type(error).__name__}: {error}"
        raise ValueError(message) from None


def _reply(status: int, body: bytes, content_type: str) -> Response:
    return Response(steps=((0.0, http_reply(status, body, content_type)),))


def _state(simulator: "Simulator", _given: Mapping[str, Any]) -> dict[str, Any]:
    journal = simulator.journal
    accounts = {name: account.state() for name, account in journal.accounts.items()}
    return {
        "account": next(iter(accounts.values())),
        "accounts": accounts,
        "addresses": journal.addresses,
        "rates": journal.rates,
        "scripts": sum(bool(script) for script in journal.scripts.values()),
        "outage": simulator.outage,
        "refused_share": simulator.listener.refused_share,
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
        return _state(simulator, {})

    return handler


def _reset(simulator: "Simulator", given: Mapping[str, Any]) -> dict[str, Any]:
    simulator.begin_outage(None)
    simulator.redirects_followed = 0
    return _change("reset")(simulator, given)


def _outage(simulator: "Simulator", given: Mapping[str, Any]) -> dict[str, Any]:
    seconds = given.get("seconds")
    simulator.begin_outage(
        given["scenario"],
        seconds=None if seconds is None else float(seconds),
        share=float(given.get("share", 1)),
        seed=int(given.get("seed", 0)),
    )
    return _state(simulator, {})


_HANDLERS: Final[dict[tuple[str, str], Handler]] = {
    ("GET", "state"): _state,
    ("GET", "submissions"): _submissions,
    ("GET", "calls"): _calls,
    ("POST", "script"): _change("script"),
    ("POST", "rates"): _change("rates"),
    ("POST", "account"): _change("account"),
    ("POST", "address"): _change("address"),
    ("POST", "outage"): _outage,
    ("POST", "reset"): _reset,
}
