"""Prose: what docs/replies.md says between its tables."""

from typing import Final

from worker.simulator.control import PREFIX
from worker.simulator.server import GATEWAY_PATH

INTRO: Final = """\
# Replies

What each reply code and each network symptom means, and what follows.
`python -m worker.simulator.page` makes this page from `config/replies.py`; a test compares the two.
`VOICECODE_REPLY_OVERRIDES` changes single rows.

- **Class.**
  *Accepted*: the gateway took the call.
  *Transient*: no call was placed, and another try may succeed.
  *Ambiguous*: nobody knows whether the phone rang.
  *Permanent*: no call was placed, and another try would fail the same way.
- **Scope.** What is at fault, and so what else fails now.
- **Alert.** *Warn* logs at warning, *page* logs at error with `alert=page`.
- **Magic number.** Send it to the simulator to see the row.

## Reply codes

A code marked * is undocumented: it was seen on the provider's other products.
Reply codes are not HTTP statuses: reply 404 and HTTP 404 differ.
Only 2 is an acceptance. Reply 1, which some programs take for one, is `unknown`.
"""

SYMPTOMS: Final = """\
## What the network can do instead

`Retry-After` of HTTP 429 and 503 is honoured within the code's life.
A symptom without a magic number arises before a server is reached, or in the worker.
To see a refused connection, use the outage `refuse` (below).
To see `tls_untrusted`, give the simulator a certificate that the worker does not trust.
"""

SIMULATOR: Final = f"""\
## The simulator

    python -m worker.simulator --account APIID --apikey KEY [--port 0] [--journal FILE] ...

It prints `simulator ready http://127.0.0.1:PORT` and `control http://127.0.0.1:PORT{PREFIX}`.
The gateway is at `{GATEWAY_PATH}` of the first, for Submit and for GetNum.
`--help` lists the options.
It judges each submission in this order, and the first that applies decides:

1. an outage of the whole gateway;
2. the client's address, if the control API refuses it;
3. credentials: 401 no account, 402 no password, 405 wrong account or key, 40502 wrong signature,
   40501 a signature whose time is off by more than `--signature-age` (300 s).
   The APIKEY itself is accepted over https only; with `--allow-plain-http`, also over http.
   `--wrong-keys` in a row freeze the account (408);
4. number and code: 403, 406, 404, 4070;
5. the account's state: what the control API set, frozen by 3 or 6, or 4051 when no calls are left
   (each accepted call takes one);
6. the number's limits: a second submission within a second gets 4080 (`--per-second`), the eleventh
   within a minute freezes the account, 408 (`--per-minute`); 0 switches either off;
7. the number's script;
8. the magic number;
9. chance, by the rates;
10. accepted.

### The provider's side of a bad night

Each of these is a request of the control API (below), and a method of
`worker.simulator.client.SimulatorClient`.
`--at SECONDS REQUEST BODY` does the same from the command line, that many seconds after the start;
it may be repeated:

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

*Client addresses.* Workers on one machine all have the same address.
To tell them apart, each uses the simulator as its HTTP proxy;
the proxy's user name stands for the client's address.
The gateway's URL, which must be http, is the same for all workers:

    VOICECODE_PROXIES_FROM_ENVIRONMENT=true HTTP_PROXY=http://10.0.0.2:any@127.0.0.1:PORT NO_PROXY=

`worker.simulator.process.RunningSimulator.environment_at("10.0.0.2")` returns these variables.

*Accounts.* `--other-account APIID KEY` adds an account with a balance, a state and limits of its
own.

*Random refusal.* The port is really closed for that share of the time, drawn anew each 20 ms,
so a refused connection never carries a form.
Meanwhile each reply closes its connection, because one that is kept could not be refused.

### Magic numbers

    199 k n rrrrrr      k = 0: rrrrrr is the reply code (plus 100000 for the row that its text decides)
                        k = 1: what the network does instead, by its index below
                        k = 2: the form of an accepted reply, by its index below
                        n = 0: always; n = 1 to 9: the first n times, then accepted

`worker.simulator.scenarios.magic_number("4050")` and `magic_number("silent", times=1)` build them.
Scripts, rates and outages name the scenarios, some with seconds: `silent:3`.
"""

INSTEAD: Final = """\
### Scenarios: instead of a reply

*Called*: a call is placed and counted, though its reply is lost or spoilt.
For one number, `reset_before_reading` is the same as `reset_after_reading`, because the number is in
the form. As an outage it resets with the form unread.
"""

FORMS: Final = "### Scenarios: forms of an accepted reply\n"

CONTROL: Final = f"""\
### Control API

It is below `{PREFIX}`, on the gateway's port and on a port of its own (`--control-port`),
which answers even while the gateway's port is closed.
Requests and answers are JSON; an error is HTTP 400 with `{{"error": ...}}`.
`{PREFIX}` itself is a page for a browser.
"""

JOURNAL: Final = """\
### Journal

`--journal FILE` gets one JSON line for each submission, written before its reply leaves,
and one for each change by the control API, except outages.
It survives `kill -9`: a simulator started on the same file carries on with its counts, scripts and
accounts.
It holds numbers, codes and keys in full: use made-up ones.
`called` is true if a call was placed: it answered 2, or would have.
`--verbose` prints a line for each submission, its number masked.
"""
