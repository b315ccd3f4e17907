"""docs/replies.md, made from the table and the scenarios: `python -m worker.simulator.page > docs/replies.md`."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from config.replies import ROWS, Action, Kind, Row
from worker.simulator.control import API, PREFIX
from worker.simulator.scenarios import FORMS, INSTEAD, REPLIES, SCENARIOS, Scenario, magic_number
from worker.simulator.server import GATEWAY_PATH

_INTRO: Final = """\
# Replies

What each reply code and each network symptom means, and what follows. Made from `config/replies.py` by `python -m worker.simulator.page`;
a test compares the two. `VOICECODE_REPLY_OVERRIDES` changes single rows.

Class: *accepted*, the gateway took the call; *transient*, no call was placed and another try may succeed; *ambiguous*, nobody knows whether the
phone rang; *permanent*, no call was placed and another try would fail the same way. Scope: what is at fault, so what else fails now. Alert: *warn* logs at
warning, *page* logs at error with `alert=page`. Magic number: what to send to the simulator to see it.

## Reply codes

A code marked * is promised by nobody: it was seen on the provider's other products. Reply codes are not HTTP statuses: reply 404 and HTTP 404 differ.
"""

_SYMPTOMS: Final = """\
## What the network can do instead

`Retry-After` of HTTP 429 and 503 is honoured within the code's life. A row without a magic number shows nothing that a server could show: it happens
before a server is reached, or in the worker. A connection refused is had with the outage `refuse` (below), `tls_untrusted` with a certificate of your own.
"""

_SIMULATOR: Final = f"""\
## The simulator

    python -m worker.simulator --account APIID --apikey KEY [--port 0] [--journal FILE] [--tell] [--latency SECONDS] ...

It says `simulator ready http://127.0.0.1:PORT`; the gateway is at `{GATEWAY_PATH}` there, for Submit and for GetNum. `--help` lists its options. It judges each
submission in this order, and the first that applies is shown:

1. an outage of the whole gateway;
2. credentials: 401 no account, 402 no password, 405 wrong account or key, 40502 wrong signature, 40501 a signature whose time is off by more than
   `--signature-age` (300 s). The APIKEY itself is taken over https only, as a guard; `--allow-plain-http` takes it over http too;
3. number and code: 403, 406, 404, 4070;
4. the account's state: what the control API set, 4051 when no calls are left (each call costs one), or frozen by 5;
5. the number's limits: a second submission within a second is 4080 (`--per-second`), the eleventh within a minute freezes the account, 408 (`--per-minute`);
   0 switches either off;
6. the number's script; 7. the number's magic; 8. chance, by the rates; 9. accepted.

### Magic numbers

    199 k n rrrrrr      k = 0: rrrrrr is the reply code (100000 added: the code's second row, the one told apart by its text)
                        k = 1: what the network does instead, by its index below
                        k = 2: the form of an accepted reply, by its index below
                        n = 0: always; n = 1 to 9: the first n times, and accepted from then on

`worker.simulator.scenarios.magic_number("4050")`, `magic_number("silent", times=1)` build them. Scripts, rates and outages name the scenarios, some with seconds: `silent:3`.
"""

_INSTEAD: Final = """\
### Scenarios: instead of a reply

*Called*: a call is placed and counted, though its reply is lost or spoilt. Played for one number, `reset_before_reading` differs from `reset_after_reading` in name only, since the number
is in the form; as an outage it resets with the form unread.
"""

_FORMS: Final = "### Scenarios: forms of an accepted reply\n"

_CONTROL: Final = f"""\
### Control API

Below `{PREFIX}` on the same port, JSON both ways; errors are HTTP 400 with `{{"error": ...}}`. `worker.simulator.client.SimulatorClient` has it as methods.
"""

_JOURNAL: Final = """\
### Journal

`--journal FILE`: one JSON line for each submission, written before its reply leaves, and one for each change by the control API save outages. It survives `kill -9`; a
simulator started on the same file goes on with its counts, scripts and account. It holds numbers and codes in full: it is a test's record, for made-up numbers.
`called` is true where a call was placed: it answered 2, or would have. `--tell` prints a line for each submission, its number masked.
"""

_REPLY_COLUMNS: Final = ("meaning", "class", "scope", "what follows", "alert", "runbook", "magic number")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _what_follows(row: Row) -> str:
    if row.action is Action.RECORD:
        return "done"
    if row.action is Action.BURY:
        return "dead letter"
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
    control = ((method, f"`{path}`", body, text) for method, path, body, text in API)
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
