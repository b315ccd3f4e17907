"""Makes docs/replies.md from the table: `python -m worker.simulator.page > docs/replies.md`."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from config.replies import ROWS, Action, Kind, Row, Scope
from worker.simulator.control import API, PREFIX
from worker.simulator.scenarios import FORMS, INSTEAD, REPLIES, SCENARIOS, Scenario, magic_number
from worker.simulator.server import GATEWAY_PATH

_INTRO: Final = """\
# Replies

What each reply code and each network symptom means, and what follows.
This page is made from `config/replies.py` by `python -m worker.simulator.page`, and a test compares
the two. `VOICECODE_REPLY_OVERRIDES` changes single rows.

- **Class.** *Accepted*: the gateway took the call. *Transient*: no call was placed, and another try
  may succeed. *Ambiguous*: nobody knows whether the phone rang. *Permanent*: no call was placed, and
  another try would fail the same way.
- **Scope.** What is at fault, and so what else fails now.
- **Alert.** *Warn* logs at warning, *page* logs at error with `alert=page`.
- **Magic number.** Send it to the simulator to see the row.

## Reply codes

A code marked * is undocumented: it was seen on the provider's other products.
Reply codes are not HTTP statuses: reply 404 and HTTP 404 differ.
"""

_SYMPTOMS: Final = """\
## What the network can do instead

`Retry-After` of HTTP 429 and 503 is honoured within the code's life.
A row without a magic number happens before a server is reached, or in the worker.
To see a refused connection use the outage `refuse` (below); for `tls_untrusted` give the simulator a
certificate that the worker does not trust.
"""

_SIMULATOR: Final = f"""\
## The simulator

    python -m worker.simulator --account APIID --apikey KEY [--port 0] [--journal FILE] ...

It prints `simulator ready http://127.0.0.1:PORT` and `control http://127.0.0.1:PORT{PREFIX}`.
The gateway is at `{GATEWAY_PATH}` of the first, for Submit and for GetNum. `--help` lists the
options. It judges each submission in this order, and the first that applies decides:

1. an outage of the whole gateway;
2. the client's address, where the control API refuses it;
3. credentials: 401 no account, 402 no password, 405 wrong account or key, 40502 wrong signature,
   40501 a signature whose time is off by more than `--signature-age` (300 s). The APIKEY itself is
   accepted over https only; `--allow-plain-http` accepts it over http too. `--wrong-keys` in a row
   freeze the account (408);
4. number and code: 403, 406, 404, 4070;
5. the account's state: what the control API set, frozen by 3 or 6, or 4051 when no calls are left
   (each accepted call takes one);
6. the number's limits: a second submission within a second is 4080 (`--per-second`), the eleventh
   within a minute freezes the account, 408 (`--per-minute`); 0 switches either off;
7. the number's script;
8. the number's magic;
9. chance, by the rates;
10. accepted.

### The provider's side of a bad night

Each of these is a request of the control API (below), and a method of
`worker.simulator.client.SimulatorClient`. `--at SECONDS REQUEST BODY` does the same from the command
line, after so many seconds; it may be given several times:

    --balance 40 --at 60 account '{{"top_up": 500}}'

| incident | request | body |
| --- | --- | --- |
| the account runs dry, and is topped up | `account` | `{{"balance": 0}}`, `{{"top_up": 500}}` |
| a person mends the frozen account | `account` | `{{"scenario": "4050"}}`, `{{"scenario": null}}` |
| it freezes by itself (408) | none | `--per-minute 10`, `--wrong-keys 3` |
| the key is rotated | `account` | `{{"apikeys": ["new", "old"]}}` |
| GetNum disagrees with Submit | `account` | `{{"getnum_balance": 500, "getnum_scenario": "405"}}` |
| one client address is refused | `address` | `{{"address": "10.0.0.2", "scenario": "4052"}}` |
| reply 0 for everybody | `outage` | `{{"scenario": "0", "seconds": 60}}` |
| 5xx for everything | `outage` | `{{"scenario": "http_502", "seconds": 45}}` |
| a web page for everything | `outage` | `{{"scenario": "html", "seconds": 45}}` |
| nobody listens | `outage` | `{{"scenario": "refuse", "seconds": 45}}` |
| connections are refused at random | `outage` | `{{"scenario": "refuse", "share": 0.3}}` |

*Client addresses.* Workers on one machine all come from one address. To tell them apart, a worker
uses the simulator as its HTTP proxy, and the proxy's user stands for the client's address; the
gateway's URL, which must be http, stays the same for all workers:

    VOICECODE_PROXIES_FROM_ENVIRONMENT=true HTTP_PROXY=http://10.0.0.2:any@127.0.0.1:PORT NO_PROXY=

`worker.simulator.process.RunningSimulator.environment_at("10.0.0.2")` returns these variables.

*Accounts.* `--other-account APIID KEY` adds a further account with a balance, a state and limits of
its own.

*Random refusal.* The port is really closed for that share of the time, drawn anew each 20 ms, so a
refused connection never carried a form. Each reply closes its connection meanwhile: one that is kept
could not be refused.

### Magic numbers

    199 k n rrrrrr      k = 0: rrrrrr is the reply code (plus 100000 for the row that its text decides)
                        k = 1: what the network does instead, by its index below
                        k = 2: the form of an accepted reply, by its index below
                        n = 0: always; n = 1 to 9: the first n times, then accepted

`worker.simulator.scenarios.magic_number("4050")` and `magic_number("silent", times=1)` build them.
Scripts, rates and outages name the scenarios, some with seconds: `silent:3`.
"""

_INSTEAD: Final = """\
### Scenarios: instead of a reply

*Called*: a call is placed and counted, though its reply is lost or spoilt.
For one number, `reset_before_reading` differs from `reset_after_reading` in name only, since the
number is in the form. As an outage it resets with the form unread.
"""

_FORMS: Final = "### Scenarios: forms of an accepted reply\n"

_CONTROL: Final = f"""\
### Control API

Below `{PREFIX}`, on a port of its own (`--control-port`), which answers while the gateway's port is
closed, and on the gateway's port. JSON both ways; an error is HTTP 400 with `{{"error": ...}}`.
`{PREFIX}` itself is a page for a browser.
"""

_JOURNAL: Final = """\
### Journal

`--journal FILE` has one JSON line for each submission, written before its reply leaves, and one for
each change by the control API save outages. It survives `kill -9`; a simulator started on the same
file carries on with its counts, scripts and accounts.
It holds numbers, codes and keys in full: use it with made-up ones.
`called` is true if a call was placed: it answered 2, or would have.
`--verbose` prints a line for each submission, its number masked.
"""

_REPLY_COLUMNS: Final = ("meaning", "class", "scope", "what follows", "alert", "runbook", "magic number")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_FOLLOWS: Final = {
    Action.RECORD: "done",
    Action.BURY: "dead letter",
    Action.PARK: "parked until a trial shows that the account can call again",
}


def _what_follows(row: Row) -> str:
    if row.kind is Kind.PERMANENT and row.scope is Scope.HOST:
        return "handed to a worker on another host, once; then dead letter"
    if row.action in _FOLLOWS:
        return _FOLLOWS[row.action]
    if row.kind is Kind.AMBIGUOUS:
        return "tried again, once by default (`VOICECODE_AMBIGUOUS_RETRIES`), then dead letter `ambiguous`"
    often = "" if row.times is None else f", {'once' if row.times == 1 else f'{row.times} times'}"
    if row.action is Action.WAIT:
        when = f"after {row.delay_seconds:g} s" if row.delay_seconds else "at once"
        return f"tried again {when}{often}, then dead letter"
    return f"tried again after a back-off{often}, then dead letter"


def _cells(row: Row, name: str, scenario: Scenario | None) -> tuple[str, ...]:
    meaning = row.meaning + (f" (text: {' or '.join(row.text.split('|'))})" if row.text else "")
    number = f"`{magic_number(scenario.name)}`" if scenario else "none"
    runbook = f"[{row.runbook}](operating.md#{row.runbook})"
    return (
        name,
        meaning,
        row.kind.value,
        row.scope.value,
        _what_follows(row),
        row.alert.value,
        runbook,
        number,
    )


def _reply_rows() -> Iterable[tuple[str, ...]]:
    for row in ROWS:
        if row.symptom is None:
            yield _cells(row, f"`{row.name}`" + ("\\*" if row.seen else ""), SCENARIOS[row.name])


def _symptom_rows() -> Iterable[tuple[str, ...]]:
    for row in ROWS:
        if row.symptom is not None:
            yield _cells(
                row,
                f"`{row.name}`",
                next((scenario for scenario in INSTEAD if scenario.row == row.name), None),
            )


def _scenarios(scenarios: Iterable[Scenario]) -> Iterable[tuple[str, ...]]:
    for index, scenario in enumerate(scenarios):
        called = "yes" if scenario.called else "no"
        yield (
            str(index),
            f"`{scenario.name}`",
            scenario.meaning,
            called,
            f"`{scenario.row}`",
            f"`{magic_number(scenario.name)}`",
        )


def page() -> str:
    """Return the whole of docs/replies.md."""
    columns = ("index", "scenario", "what it is", "called", "row above", "magic number")
    control = (
        (method, f"`{path or PREFIX}`", f"`{body}`" if body else "", text) for method, path, body, text in API
    )
    texts = [f"`{scenario.name}` {scenario.message}" for scenario in REPLIES]
    return (
        "\n".join(
            (
                _INTRO,
                _table(("reply", *_REPLY_COLUMNS), _reply_rows()),
                f"The gateway's own texts: {'; '.join(texts)}.\n",
                _SYMPTOMS,
                _table(("symptom", *_REPLY_COLUMNS), _symptom_rows()),
                _SIMULATOR,
                _INSTEAD,
                _table(columns, _scenarios(INSTEAD)),
                _FORMS,
                _table(columns, _scenarios(FORMS)),
                _CONTROL,
                _table(("method", "path", "body", "what it does"), control),
                _JOURNAL.rstrip("\n"),
            )
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())
