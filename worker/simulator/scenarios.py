"""Scenarios: each row of the table, each fault of a network, each form of an accepted reply.

A scenario has a name; some take an argument in seconds (`slow:3`). A *magic number* is a mobile
number that asks for one by itself:

    199 k n rrrrrr      k = 0: r = the reply code (plus 100000 for the row that its text decides)
                        k = 1: r = index in SYMPTOMS
                        k = 2: r = index in SHAPES
                        n = 0: always; n = 1 to 9: the first n times, then accepted
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Final

from config.replies import ROWS, Kind, Row
from worker.simulator import bodies
from worker.simulator.bodies import Answer
from worker.simulator.shapes import SHAPES
from worker.simulator.symptoms import SYMPTOMS
from worker.simulator.wire import Response, http_reply

ACCEPTED: Final = "2"
UNKNOWN_CODE: Final = 99_999
"""The reply code of the scenario `unknown`: no row has it."""

_UNKNOWN_MESSAGE: Final = "未知错误"
_VARIANT: Final = 100_000
_MAGIC: Final = re.compile(r"199([012])([0-9])([0-9]{6})")

Respond = Callable[[Answer, str, float], Response]
"""(what is or would have been answered, the format asked for, the argument in seconds or 0)"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to answer a submission."""

    name: str
    meaning: str
    row: str
    """The row of `config/replies.py` that a worker should find for it."""
    code: int | None = None
    """The reply code that is sent; None if the worker gets none to read."""
    message: str = ""
    called: bool = False
    """Whether a call is placed: 2 is answered, or would have been."""
    number: str
    """`krrrrrr` of its magic numbers."""
    respond: Respond = dataclasses.field(repr=False)


def _in_asked_format(answer: Answer, asked_format: str, _seconds: float) -> Response:
    body, content_type = bodies.plain(answer, asked_format)
    return Response(steps=((0.0, http_reply(200, body, content_type)),))


def _reply(row: Row, code: int, variant: int, name: str | None = None) -> Scenario:
    return Scenario(
        name=name or row.name,
        meaning=row.meaning,
        row=row.name,
        code=code,
        message=row.message or _UNKNOWN_MESSAGE,
        called=row.kind is Kind.ACCEPTED,
        number=f"0{variant * _VARIANT + code:06}",
        respond=_in_asked_format,
    )


def _replies() -> list[Scenario]:
    scenarios: list[Scenario] = []
    for row in ROWS:
        if row.code is not None:
            variant = sum(scenario.code == row.code for scenario in scenarios)
            scenarios.append(_reply(row, row.code, variant))
        elif row.symptom is None:
            scenarios.append(_reply(row, UNKNOWN_CODE, 0))
    return scenarios


def _without_format(fault: Callable[[Answer, float], Response]) -> Respond:
    return lambda answer, _asked_format, seconds: fault(answer, seconds)


REPLIES: Final = tuple(_replies())
INSTEAD: Final = tuple(
    Scenario(
        name=name,
        meaning=text,
        row=symptom.value,
        called=called,
        number=f"1{index:06}",
        respond=_without_format(fault),
    )
    for index, (name, text, symptom, called, fault) in enumerate(SYMPTOMS)
)
FORMS: Final = tuple(
    Scenario(
        name=name,
        meaning=text,
        row=ACCEPTED,
        code=2,
        called=True,
        number=f"2{index:06}",
        respond=_without_format(shape),
    )
    for index, (name, text, shape) in enumerate(SHAPES)
)
SCENARIOS: Final = {scenario.name: scenario for scenario in (*REPLIES, *INSTEAD, *FORMS)}
ACCEPTED_MESSAGE: Final = SCENARIOS[ACCEPTED].message
_BY_NUMBER: Final = {scenario.number: scenario for scenario in SCENARIOS.values()}
_UNKNOWN_ROW: Final = next(row for row in ROWS if row.name == "unknown")


def find(name: str) -> tuple[Scenario, float]:
    """Return the scenario of a name, and its seconds or 0.

    Names are e.g. `0`, `408/limit`, `silent:3` or `9999` (any code). Raises ValueError, which lists
    them.
    """
    bare, colon, argument = name.partition(":")
    if bare in SCENARIOS and (not colon or re.fullmatch(r"\d{1,5}(\.\d{1,3})?", argument)):
        return SCENARIOS[bare], float(argument or 0)
    if re.fullmatch(r"[0-9]{1,5}", name):
        return _reply(_UNKNOWN_ROW, int(name), 0, name=name), 0.0
    message = f"no scenario is called {name!r}; there are reply codes and: {', '.join(SCENARIOS)}"
    raise ValueError(message)


def magic_number(scenario: str, times: int = 0) -> str:
    """Return the number that asks for a scenario: always, or the first `times` (1 to 9) times.

    Raises ValueError.
    """
    if times not in range(10):
        message = f"times must be 0 (always) to 9, not {times}"
        raise ValueError(message)
    found, _seconds = find(scenario)
    return f"199{found.number[0]}{times}{found.number[1:]}"


def of_number(mobile: str) -> tuple[str, int] | None:
    """Return the scenario's name, and how often a magic number asks for it (0: always).

    None for any other number.
    """
    match = _MAGIC.fullmatch(mobile)
    if not match:
        return None
    kind, times, rest = match.groups()
    scenario = _BY_NUMBER.get(kind + rest)
    if scenario is not None:
        return scenario.name, int(times)
    return (str(int(rest)), int(times)) if kind == "0" and int(rest) < _VARIANT else None
