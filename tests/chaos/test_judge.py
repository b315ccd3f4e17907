"""The judge finds each way to break a promise, and accepts what is excused."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.evidence import History
from tests.chaos.judge import judge
from tests.chaos.plan import Options
from worker.ledger.record import Attempt, Record
from worker.simulator.journal import Submission


def submitted(at: float, *, called: bool = True) -> Submission:
    return Submission(
        at=at,
        mobile="13800138000",
        code="0042",
        scenario="2",
        source="none",
        reply=2,
        called=called,
        voice_id="1",
        signature="dynamic",
        method="POST",
        port=1,
    )


def attempt(number: int, kind: str = "accepted", **more: Any) -> Attempt:
    values = {
        "number": number,
        "started_at": 100.0 + number,
        "ended_at": 100.5 + number,
        "kind": kind,
        "row": "2",
    }
    return Attempt(**{**values, "ambiguous": kind == "ambiguous", **more})


ACCEPTED = Record(
    key="k",
    state="accepted",
    first_seen=100,
    accepted_at=101.5,
    expires_at=160,
    calls=1,
    attempts=(attempt(1),),
)
DEAD = Record(
    key="k",
    state="dead",
    first_seen=100,
    died_at=102,
    expires_at=160,
    reason="permanent",
    attempts=(attempt(1, "permanent", row="4050"),),
)
GOOD = History(
    key="k", acknowledged_at=99.9, expires_at=160, submissions=(submitted(101.2),), record=ACCEPTED
)
BURIED = History(
    key="k",
    acknowledged_at=99.9,
    expires_at=160,
    submissions=(submitted(101.2, called=False),),
    record=DEAD,
    buried=True,
)
RANG = dataclasses.replace(
    DEAD, reason="ambiguous", ambiguous=1, attempts=(attempt(1, "ambiguous", row="reset"),)
)
TWICE = dataclasses.replace(
    ACCEPTED, accepted_at=102.5, ambiguous=1, attempts=(attempt(1, "ambiguous", row="reset"), attempt(2))
)


def with_record(history: History, record: Record | None, **more: Any) -> History:
    return dataclasses.replace(history, record=record, **more)


def sentences(history: History) -> list[str]:
    return [sentence for sentence, _ in judge([history], deadline_seconds=1).violations]


@pytest.mark.parametrize(
    "history",
    [
        GOOD,
        BURIED,
        with_record(GOOD, TWICE, submissions=(submitted(101.2), submitted(102.2))),
        with_record(BURIED, RANG, submissions=(submitted(101.2),)),
        # The first attempt's acceptance was written while the second one, claimed before, was on
        # its way.
        with_record(
            GOOD,
            dataclasses.replace(TWICE, accepted_at=102.0),
            submissions=(submitted(101.2), submitted(102.2)),
        ),
        # The network held the first life's form back until after the replay.
        with_record(GOOD, TWICE, submissions=(submitted(101.9), submitted(102.2)), replayed_at=(101.8,)),
    ],
    ids=[
        "accepted",
        "dead",
        "second call, flagged",
        "dead as ambiguous",
        "two attempts at once, flagged",
        "late, after a replay",
    ],
)
def test_a_promise_that_was_kept_is_no_violation(history: History) -> None:
    assert sentences(history) == []


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (with_record(GOOD, None), "lost: there is no record"),
        (with_record(GOOD, dataclasses.replace(ACCEPTED, state="calling")), "lost: calling for ever"),
        (with_record(GOOD, dataclasses.replace(ACCEPTED, state="waiting"), due=True), "lost: still waiting"),
        (with_record(BURIED, DEAD, buried=False), "lost: dead without a reason or outside the failure queue"),
        (
            with_record(BURIED, dataclasses.replace(DEAD, reason="")),
            "lost: dead without a reason or outside the failure queue",
        ),
        (with_record(GOOD, ACCEPTED, submissions=()), "accepted, but the gateway placed no call"),
        (with_record(GOOD, ACCEPTED, due=True), "accepted, but still in the failure queue or waiting"),
        (
            with_record(BURIED, DEAD, submissions=(submitted(101.2),)),
            "dead, and nothing says that the phone rang",
        ),
        (
            with_record(
                GOOD,
                dataclasses.replace(TWICE, ambiguous=0),
                submissions=(submitted(101.2), submitted(102.2)),
            ),
            "2 calls with 0 ambiguous attempts",
        ),
        (
            with_record(GOOD, TWICE, submissions=(submitted(101.2), submitted(101.3)), replayed_at=(101.6,)),
            "2 calls in life 1, where at most 1 attempts were accepted or ambiguous",
        ),
        (
            with_record(
                GOOD,
                dataclasses.replace(
                    TWICE, ambiguous=2, attempts=(*TWICE.attempts, attempt(3, "ambiguous", row="reset"))
                ),
                submissions=(submitted(101.2), submitted(102.2), submitted(102.3)),
                replayed_at=(101.6, 102.9),
            ),
            "2 calls in life 2, where at most 1 attempts were accepted or ambiguous",
        ),
        (
            with_record(GOOD, ACCEPTED, submissions=(submitted(101.2), submitted(101.3, called=False))),
            "2 submissions in 1 attempts",
        ),
        (
            with_record(GOOD, ACCEPTED, submissions=(submitted(101.6),)),
            "submitted 0.100 s after it was known to be accepted",
        ),
        (
            with_record(GOOD, TWICE, submissions=(submitted(101.2), submitted(103.6))),
            "submitted 1.100 s after it was known to be accepted",
        ),
        (
            with_record(GOOD, dataclasses.replace(ACCEPTED, expires_at=100), submissions=(submitted(101.2),)),
            "submitted 1.200 s after its end",
        ),
        (
            with_record(
                BURIED,
                dataclasses.replace(DEAD, attempts=(*DEAD.attempts, attempt(2, "permanent", row="4050"))),
            ),
            "attempt 2 after the permanent reply 4050",
        ),
    ],
)
def test_a_promise_that_was_broken_is_found(history: History, said: str) -> None:
    assert said in sentences(history)


def test_what_is_found_is_counted() -> None:
    unflagged = with_record(
        GOOD, dataclasses.replace(TWICE, ambiguous=0), submissions=(submitted(101.2), submitted(102.2))
    )
    gone = with_record(GOOD, None)
    figures = judge([GOOD, unflagged, gone], deadline_seconds=1).figures
    counted = {name: figures[name] for name in ("codes", "lost", "calls beyond 1 + ambiguous", "violations")}
    assert counted == {"codes": 3, "lost": 1, "calls beyond 1 + ambiguous": 1, "violations": 2}


def test_the_longest_recovery_is_counted_from_the_end_of_the_lease() -> None:
    killed = attempt(1, "ambiguous", row="lease_over", ended_at=105.0)
    record = dataclasses.replace(TWICE, attempts=(killed, attempt(2, started_at=105.4)))
    assert judge([with_record(GOOD, record)], deadline_seconds=1).figures["longest recovery seconds"] == 0.4


def test_while_redis_is_away_nobody_can_look() -> None:
    killed = attempt(1, "ambiguous", row="lease_over", ended_at=105.0)
    history = with_record(GOOD, dataclasses.replace(TWICE, attempts=(killed, attempt(2, started_at=109.0))))
    figures = judge([history], deadline_seconds=1, redis_away=[(90, 95), (104, 108.5), (120, 121)]).figures
    assert figures["longest recovery seconds"] == 0.5
    assert figures["longest recovery seconds, Redis' absence included"] == 4.0


def test_a_seed_gives_the_same_faults_again() -> None:
    draw: Callable[[int], Any] = lambda seed: Options(seconds=600, seed=seed).schedule()  # noqa: E731
    assert draw(7) == draw(7) != draw(8)
    assert len(draw(7)) > 200


@pytest.mark.parametrize(
    ("reason", "rows", "replayed_at", "expected"),
    [
        (
            "exhausted",
            ("connect_refused", "dns_failed"),
            (),
            ["dead, exhausted, though none of 2 attempts left"],
        ),
        ("exhausted", ("connect_refused", "0"), (), []),
        ("expired", ("connect_refused", "dns_failed"), (), []),
        # What rang before a replay does not excuse the life after it.
        ("ambiguous", ("reset", "not_sent"), (101.8,), ["dead, ambiguous, though none of 1 attempts left"]),
    ],
)
def test_what_never_left_spends_nothing(
    reason: str, rows: tuple[str, ...], replayed_at: tuple[float, ...], expected: list[str]
) -> None:
    attempts = tuple(attempt(number, "transient", row=row) for number, row in enumerate(rows, start=1))
    submissions = tuple(submitted(101.2, called=False) for row in rows if row == "0")
    record = dataclasses.replace(DEAD, reason=reason, attempts=attempts)
    history = with_record(BURIED, record, submissions=submissions, replayed_at=replayed_at)
    assert sentences(history) == expected


@pytest.mark.parametrize(
    ("rows", "replayed_at", "expected"),
    [
        (("4052", "2"), (), []),
        (("4052", "4052"), (), []),
        (("4052", "http_503", "4052"), (), []),
        (("4052", "4052", "2"), (), ["attempt 3 after the permanent reply 4052"]),
        (("4052", "4052", "4052", "2"), (102.8,), []),
    ],
)
def test_a_code_is_submitted_on_two_hosts_that_refuse_it_and_no_more(
    rows: tuple[str, ...], replayed_at: tuple[float, ...], expected: list[str]
) -> None:
    attempts = tuple(attempt(number, "permanent", row=row) for number, row in enumerate(rows, start=1))
    history = with_record(
        BURIED, dataclasses.replace(DEAD, attempts=attempts), submissions=(), replayed_at=replayed_at
    )
    assert sentences(history) == expected
