import json
from pathlib import Path

import pytest

from benchmarks.chart import draw
from benchmarks.field import FIELD, OURS
from benchmarks.goals import GOALS, PEERS, WITH_REQUESTS, Bound, Goal, judge
from benchmarks.publish import CHART, FIGURES, PAGE, drawn, markdown
from benchmarks.results import Results

SPEED = Goal(text="speed", measure="speed", bound=Bound.AT_LEAST, limit=1.2, against=("slow", "quick"))
WAIT = Goal(text="wait", measure="wait", bound=Bound.AT_MOST, limit=1.2, against=("slow", "quick"))


@pytest.mark.parametrize(("ours", "met"), [(119.0, False), (120.0, True), (121.0, True)])
def test_speed_is_compared_with_the_fastest(ours: float, met: bool) -> None:  # noqa: FBT001 - a column of the table
    verdict = judge({"speed": {OURS: ours, "slow": 50.0, "quick": 100.0, "stranger": 900.0}}, (SPEED,))[0]
    assert (verdict.rival, verdict.met, verdict.failed) == ("quick", met, not met)


@pytest.mark.parametrize(("ours", "met"), [(2.3, True), (2.4, True), (2.5, False)])
def test_waiting_is_compared_with_the_shortest(ours: float, met: bool) -> None:  # noqa: FBT001 - a column of the table
    verdict = judge({"wait": {OURS: ours, "slow": 9.0, "quick": 2.0}}, (WAIT,))[0]
    assert (verdict.rival, verdict.met, verdict.failed) == ("quick", met, not met)


def test_who_lost_codes_is_no_rival() -> None:
    """Nobody wins by losing jobs."""
    verdict = judge({"speed": {OURS: 65.0, "slow": 50.0, "quick": 100.0}}, (SPEED,), losers=["quick"])[0]
    assert (verdict.rival, verdict.ratio, verdict.met) == ("slow", 1.3, True)


@pytest.mark.parametrize("figures", [{}, {"speed": {OURS: 1.0}}, {"speed": {"quick": 1.0}}])
def test_what_was_not_measured_is_neither_met_nor_failed(figures: dict[str, dict[str, float]]) -> None:
    verdict = judge(figures, (SPEED,))[0]
    assert (verdict.ratio, verdict.met, verdict.failed) == (None, False, False)


def test_a_goal_may_compare_two_measures_of_ours() -> None:
    goal = Goal(
        text="crowd", measure="crowded", bound=Bound.AT_LEAST, limit=0.9, base="alone", against=(OURS,)
    )
    assert judge({"crowded": {OURS: 89.0}, "alone": {OURS: 100.0}}, (goal,))[0].failed


def test_a_goal_without_rivals_is_absolute() -> None:
    goal = Goal(text="memory", measure="memory", bound=Bound.AT_MOST, limit=100)
    assert judge({"memory": {OURS: 100.5}}, (goal,))[0].failed
    assert not judge({"memory": {OURS: 99.5}}, (goal,))[0].failed


def test_the_moonshot_is_told_and_does_not_fail() -> None:
    goal = Goal(
        text="moon", measure="speed", bound=Bound.AT_LEAST, limit=1, against=("quick",), moonshot=True
    )
    verdict = judge({"speed": {OURS: 50.0, "quick": 100.0}}, (goal,))[0]
    assert (verdict.ratio, verdict.met, verdict.failed) == (0.5, False, False)


def test_a_single_lost_code_fails() -> None:
    assert [v.goal.text for v in judge({"lost_or_doubled": {OURS: 1.0}}) if v.failed] == [
        "codes that ours lost or called twice"
    ]


def test_the_goals_name_contestants_that_are_there() -> None:
    names = {contestant.name for contestant in FIELD}
    shown_only = {contestant.name for contestant in FIELD if not contestant.rival}
    assert set(WITH_REQUESTS) < set(PEERS) == names - {OURS} - shown_only
    assert shown_only == {"huey_held"}
    assert {goal.who for goal in GOALS} == {OURS}
    assert {name for goal in GOALS for name in goal.against} <= names | {"bare"}


def test_the_median_of_the_repetitions_counts() -> None:
    results = Results()
    for value in (1.0, 9.0, 2.0):
        results.note("speed", OURS, value)
    assert results.median("speed", OURS) == 2.0
    assert results.median("speed", "nobody") is None
    assert Results.of(results.as_dict()).medians() == {"speed": {OURS: 2.0}}


def test_the_page_shows_the_figures_of_the_run_that_it_is_made_from() -> None:
    """`./run bench --publish` writes all three; a figure that was changed by hand is found here."""
    kept = json.loads(FIGURES.read_text("utf-8"))
    results = Results.of(kept)
    assert markdown(results, kept["machine"]) in PAGE.read_text("utf-8")
    assert drawn(results, kept["machine"]) == CHART.read_text("utf-8")


def test_the_picture_shows_every_contestant_that_was_measured() -> None:
    picture = draw({"throughput_0ms": {OURS: 1000.0, "rq": 1.0, "bare": 5.0}}, "a <caption>")
    assert picture.count("<rect") == 2
    assert "a &lt;caption&gt;" in picture


@pytest.mark.parametrize(
    "lock", sorted((Path(__file__).parents[2] / "benchmarks" / "peers").glob("*.txt")), ids=lambda p: p.stem
)
def test_a_lock_of_a_peer_names_no_host_and_has_hashes(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")
