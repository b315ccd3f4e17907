"""A minute of chaos, and the proof that it would find a broken promise."""

from pathlib import Path

import pytest

from tests.chaos.plan import Fault, Options
from tests.chaos.runner import Report, run

BROKEN = "tests.support.broken_builds"


def told(report: Report) -> str:
    """Return the sentences of every violation, and all that is known of the code."""
    codes = [f"{sentence}: {history.shown()}" for sentence, history in report.verdict.violations]
    return "\n".join([*codes, *report.fleet])


@pytest.mark.timeout(180)
def test_nothing_is_lost_and_nobody_called_twice(tmp_path: Path) -> None:
    """Two dozen faults in half a minute: every code ends, and every second call is flagged."""
    report = run(Options(seconds=30, seed=11, rate=12, life_seconds=10, fault_every_seconds=1.1), tmp_path)
    assert told(report) == ""
    assert report.kept, report.figures
    assert report.figures["codes"] == 360
    assert report.figures["faults"] >= 20
    assert report.figures["accepted"] >= 250
    assert report.figures["replays"] > 0


def test_a_build_that_acks_before_it_finishes_is_caught(tmp_path: Path) -> None:
    options = Options(
        seconds=3,
        workers=2,
        rate=20,
        life_seconds=6,
        latency_seconds=0.3,
        scenarios={},
        app=BROKEN,
        settings={"break": "ack_before_finish"},
        faults=(Fault(at=0.5, kind="worker.kill", worker=0), Fault(at=1, kind="worker.kill", worker=1)),
    )
    report = run(options, tmp_path)
    assert report.figures["lost"] > 0
    assert "lost: calling for ever" in told(report)


def test_a_build_that_forgets_lost_replies_is_caught(tmp_path: Path) -> None:
    options = Options(
        seconds=2,
        workers=1,
        rate=20,
        life_seconds=6,
        scenarios={"accepted_then_reset": 0.3},
        app=BROKEN,
        settings={"break": "forget_ambiguity"},
        faults=(),
    )
    report = run(options, tmp_path)
    assert report.figures["calls beyond 1 + ambiguous"] > 0
    assert "2 calls with 0 ambiguous attempts" in told(report)


def test_a_build_that_calls_while_sending_is_stopped_is_caught(tmp_path: Path) -> None:
    options = Options(
        seconds=4,
        workers=2,
        rate=20,
        life_seconds=10,
        scenarios={},
        app=BROKEN,
        settings={"break": "call_while_stopped"},
        faults=(Fault(at=0.5, kind="gateway.account_empty", seconds=3),),
    )
    report = run(options, tmp_path)
    assert not report.kept
    assert "after sending was stopped" in told(report)
