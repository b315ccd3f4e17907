"""The judge of the fleet finds each way in which a promise can be broken."""

import dataclasses
from typing import Any

import pytest

from tests.chaos.evidence import History
from tests.chaos.fleet_evidence import FleetEvidence
from tests.chaos.fleet_judge import judge_fleet
from tests.chaos.test_judge import ACCEPTED, GOOD, attempt, submitted

STOPPED_AND_BACK = ((200.0, "stopped"), (204.0, "trial"), (210.0, "sending"))
GOOD_FLEET = FleetEvidence(
    moves=STOPPED_AND_BACK,
    pages=(200.1,),
    per_minute=5,
    lease_seconds=1.5,
    deadline_seconds=1.0,
    held_back=(),
    ended="sending",
)


def attempts(*moments: float, seconds: float = 0.5) -> History:
    """Return a code with an attempt at each of these moments."""
    found = tuple(
        attempt(number, started_at=at, ended_at=at + seconds) for number, at in enumerate(moments, start=1)
    )
    return dataclasses.replace(GOOD, record=dataclasses.replace(ACCEPTED, attempts=found))


def forms(*moments: float) -> History:
    return dataclasses.replace(GOOD, submissions=tuple(map(submitted, moments)))


def fleet(**more: Any) -> FleetEvidence:
    return dataclasses.replace(GOOD_FLEET, **more)


@pytest.mark.parametrize(
    ("history", "evidence"),
    [
        (GOOD, GOOD_FLEET),
        (attempts(199.999, 200.0, 204.0, 215.0), GOOD_FLEET),
        (attempts(*(205 + number / 100 for number in range(10))), GOOD_FLEET),
        (attempts(*(204.2 + number * 0.3 for number in range(18)), seconds=0.2), GOOD_FLEET),
        (forms(0, 10, 20, 30, 40, 61), GOOD_FLEET),
        (forms(*range(20)), fleet(per_minute=0)),
        (forms(199, 200.9, 204.1), GOOD_FLEET),
        (forms(202.5), fleet(held_back=((199.0, 202.0),))),
        (GOOD, fleet(moves=(), pages=())),
        # Over before anybody could tell of it.
        (GOOD, fleet(pages=())),
        # A failed trial belongs to the incident, a stop after its end is another one.
        (
            GOOD,
            fleet(
                moves=(*STOPPED_AND_BACK[:2], (205.0, "stopped"), (211.0, "trial"), (220.0, "sending")),
            ),
        ),
        (
            GOOD,
            fleet(moves=(*STOPPED_AND_BACK, (230.0, "stopped"), (240.0, "sending")), pages=(200.1, 232.0)),
        ),
    ],
)
def test_a_promise_that_was_kept_is_no_violation(history: History, evidence: FleetEvidence) -> None:
    assert judge_fleet([history], evidence) == []


@pytest.mark.parametrize(
    ("history", "evidence", "said"),
    [
        (attempts(199.0, 201.0), GOOD_FLEET, "k: attempt 2 began while sending was stopped"),
        (forms(199, 201.5), GOOD_FLEET, "k: submitted 1.500 s after sending was stopped"),
        (
            forms(203.5),
            fleet(held_back=((199.0, 202.0),)),
            "k: submitted 3.500 s after sending was stopped",
        ),
        (
            attempts(300.0),
            fleet(moves=((290.0, "held"),), pages=()),
            "k: attempt 1 began while sending was stopped",
        ),
        (
            attempts(*(205 + number / 100 for number in range(11))),
            GOOD_FLEET,
            "11 calls at once in the trial of 204.000",
        ),
        # Nobody knows when it ended: its lease tells.
        (
            attempts(*(205 + number / 10 for number in range(11)), seconds=9.0),
            GOOD_FLEET,
            "11 calls at once in the trial of 204.000",
        ),
        (GOOD, fleet(ended="stopped 4051"), "everything is well, and it is stopped 4051"),
        (forms(0, 10, 20, 30, 40, 59.5), GOOD_FLEET, "k: 6 forms in 59.500 s"),
        (GOOD, fleet(pages=(200.1, 205.1)), "2 pages for the incident of 200.000"),
        (
            GOOD,
            fleet(moves=((200.0, "stopped"), (230.0, "sending")), pages=()),
            "no page for the incident of 200.000, which lasted 30.0 s",
        ),
        (GOOD, fleet(pages=(150.0, 200.1)), "1 pages without an incident"),
    ],
)
def test_a_promise_that_was_broken_is_found(history: History, evidence: FleetEvidence, said: str) -> None:
    assert judge_fleet([history], evidence) == [said]
