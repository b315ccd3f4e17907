"""Makes docs/replies.md from the table: `python -m worker.simulator.page > docs/replies.md`."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from config.replies import ROWS, Action, Kind, Row, Scope, Spends
from worker.simulator import prose
from worker.simulator.control import API, PREFIX
from worker.simulator.scenarios import FORMS, INSTEAD, REPLIES, SCENARIOS, Scenario, magic_number

_REPLY_COLUMNS: Final = ("meaning", "class", "scope", "what follows", "alert", "runbook", "magic number")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_FOLLOWS: Final = {
    Action.RECORD: "done",
    Action.BURY: "dead letter",
    Action.PARK: "parked until a trial shows that the account can call again",
}


_BACKOFFS: Final = {
    Spends.NOTHING: "tried again every few seconds while the code lives; then dead letter `expired`",
    Spends.PLACE: "tried again after a back-off, ten times; then dead letter `exhausted`",
    Spends.SUBMISSION: "tried again after a back-off, up to `VOICECODE_MAX_ATTEMPTS` submissions;"
    " then dead letter `exhausted`",
}


def _what_follows(row: Row) -> str:
    if row.kind is Kind.PERMANENT and row.scope is Scope.HOST:
        return "handed to a worker on another host, once; then dead letter"
    if row.action in _FOLLOWS:
        return _FOLLOWS[row.action]
    if row.kind is Kind.AMBIGUOUS:
        return "tried again, once by default (`VOICECODE_AMBIGUOUS_RETRIES`); then dead letter `ambiguous`"
    other = "handed to a worker on another host, once; then " if row.scope is Scope.HOST else ""
    if row.action is Action.WAIT:
        when = f"after {row.delay_seconds:g} s" if row.delay_seconds else "at once"
        often = "" if row.times is None else f", {'once' if row.times == 1 else f'{row.times} times'}"
        return f"tried again {when}{often}; then {other}dead letter"
    return _BACKOFFS[row.spends]


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


def _lines(texts: Sequence[str]) -> str:
    return ";\n".join("; ".join(texts[first : first + 3]) for first in range(0, len(texts), 3))


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
                prose.INTRO,
                _table(("reply", *_REPLY_COLUMNS), _reply_rows()),
                f"The gateway's own texts:\n{_lines(texts)}.\n",
                prose.SYMPTOMS,
                _table(("symptom", *_REPLY_COLUMNS), _symptom_rows()),
                prose.SIMULATOR,
                prose.INSTEAD,
                _table(columns, _scenarios(INSTEAD)),
                prose.FORMS,
                _table(columns, _scenarios(FORMS)),
                prose.CONTROL,
                _table(("method", "path", "body", "what it does"), control),
                prose.JOURNAL.rstrip("\n"),
            )
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())
