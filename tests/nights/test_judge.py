"""The judge of the nights says that a goal was missed when it was."""

import dataclasses
from pathlib import Path

from tests.nights import judge
from tests.nights.fleet import Enqueued, Fate, Fleet
from tests.nights.night import FULL, SHORT, Check, Night
from tests.nights.table import NIGHTS, run
from worker.ledger.record import Record
from worker.simulator.journal import Submission

CODE = Enqueued(key="k", mobile="13800138000", at=100.0, expires_at=380.0)
ACCEPTED = Record(key="k", state="accepted", accepted_at=150.0)
DEAD = Record(key="k", state="dead", reason="exhausted", died_at=150.0)


def submitted(at: float, mobile: str = CODE.mobile) -> Submission:
    return Submission(
        at=at,
        mobile=mobile,
        code="0042",
        scenario="2",
        source="none",
        reply=2,
        called=True,
        voice_id="1",
        signature="dynamic",
        method="POST",
        port=1,
    )


def fate(record: Record | None, *ats: float) -> Fate:
    return Fate(code=CODE, record=record, submissions=tuple(submitted(at) for at in ats))


def test_a_dead_or_lost_code_is_not_accepted() -> None:
    good = [fate(ACCEPTED, 149)] * 99
    assert judge.all_accepted(good) == Check("99 of 99 accepted", met=True)
    assert judge.all_accepted([*good, fate(DEAD)]) == Check("99 of 100 accepted, 1 exhausted", met=False)
    assert judge.share_accepted([*good, fate(DEAD)], 0.95).met
    assert not judge.share_accepted([*good, fate(None)], 0.95).met
    assert not judge.all_accepted([]).met


def test_a_second_call_needs_an_ambiguous_attempt() -> None:
    flagged = dataclasses.replace(ACCEPTED, ambiguous=1)
    assert judge.calls_excused([fate(flagged, 149, 151)]).met
    assert not judge.calls_excused([fate(ACCEPTED, 149, 151)]).met
    assert not judge.second_calls_excused([fate(ACCEPTED, 149, 151)], 60).met
    assert not judge.second_calls_excused([fate(flagged, 149, 151)] * 60, 60).met


def test_acceptance_is_timed_from_the_return() -> None:
    assert judge.accepted_within([fate(ACCEPTED)] * 20, 145.0, 8) == Check(
        "p95 5.0 s after the return", met=True
    )
    assert not judge.accepted_within([fate(ACCEPTED)] * 20, 140.0, 8).met


def test_the_fullest_minute_of_one_number_counts() -> None:
    moments = [submitted(at) for at in (0, 20, 40, 59, 61, 100)]
    others = [submitted(at, "13900139000") for at in range(3)]
    assert judge.most_in_a_minute([*moments, *others]) == 4


def test_a_pause_at_either_end_counts() -> None:
    assert judge.longest_gap([5, 6, 30], start=0, end=32) == 24
    assert judge.longest_gap([1, 2], start=0, end=32) == 30


def test_a_step_that_does_not_come_is_a_missed_goal(tmp_path: Path) -> None:
    def fail(fleet: Fleet) -> list[Check]:
        message = f"waited at pace {fleet.pace.scale}"
        raise AssertionError(message)

    row = run(Night(name="n", incident="i", goal="g", run=fail), SHORT, tmp_path)
    assert (row.met, str(row)) == (False, "| i | g | waited at pace 0.1 (MISSED) | MISSED |")


def test_full_nights_keep_to_default_settings() -> None:
    assert not FULL.settings
    assert [night.name for night in NIGHTS.values() if night.settings] == ["purse"]
