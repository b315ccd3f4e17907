"""Nights about one phone number, or about the bill."""

import time
from typing import Final

from tests.nights import judge
from tests.nights.fleet import LIFE_SECONDS, Fleet
from tests.nights.night import Check, Night
from tests.support.workers import LIMIT_SECONDS, wait_for

_ONE_NUMBER: Final = "13800138000"
_WINDOW_SECONDS: Final = 60.0
_PURSE: Final = 500


def _one_number(fleet: Fleet) -> list[Check]:
    fleet.start_three()
    for _ in range(25):
        fleet.send(mobile=_ONE_NUMBER)
    # Not scaled: the budget is for a minute, as the gateway counts it.
    time.sleep(130 if fleet.pace.scale == 1 else 15)
    submissions = fleet.submissions()
    most = judge.most_in_a_minute(submissions, _WINDOW_SECONDS)
    alive = fleet.gateway.state()["account"]["scenario"] is None
    other = fleet.send()
    wait_for(lambda: other.key not in fleet.open(), LIMIT_SECONDS, "a code for another number")
    return [
        Check(f"{most} submissions in the fullest minute", 0 < most <= 5),
        Check("account alive" if alive else "account frozen", alive),
        Check(f"{len(submissions)} submissions in all", met=True),
    ]


def _newer_wins(fleet: Fleet) -> list[Check]:
    fleet.start_three()
    fleet.gateway.script(_ONE_NUMBER, ["0"])
    older = fleet.send(mobile=_ONE_NUMBER, purpose="login")
    wait_for(fleet.submissions, LIMIT_SECONDS, "the older one's first try")
    newer = fleet.send(mobile=_ONE_NUMBER, purpose="login", life=LIFE_SECONDS + 10)
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = {fate.code.key: fate for fate in fleet.fates()}
    record = fates[older.key].record
    reason = record.reason or record.state if record else "lost"
    calls = sum(submission.called for submission in fleet.submissions())
    return [
        Check(f"older {reason}", reason == "superseded"),
        Check(
            f"newer {'accepted' if fates[newer.key].accepted else 'not accepted'}", fates[newer.key].accepted
        ),
        Check(f"{calls} calls", calls == 1),
    ]


def _purse(fleet: Fleet) -> list[Check]:
    """Ten thousand numbers; the short form enqueues as many as make the purse run out."""
    fleet.start_three()
    purse = int(fleet.pace.seconds(_PURSE))
    with fleet.producing(50, fleet.pace.seconds(200)):
        pass
    fleet.wait_ended(fleet.pace.limit(60))
    fates = fleet.fates()
    calls = sum(fate.calls for fate in fates)
    row = fleet.client.hget("{voice_codes}:sending", "row")
    return [
        Check(f"{calls} calls of {len(fates)} codes", calls == purse),
        Check(f"stopped by {row}" if row else "not stopped", row == "spending_cap"),
        judge.none_lost(fates),
        judge.pages(fleet),
    ]


NUMBERS: Final = (
    Night(
        name="one-number",
        incident="25 codes for one number at once",
        goal="<= 5 submissions in any 60 s, the account stays alive",
        run=_one_number,
        strict=True,
    ),
    Night(
        name="newer",
        incident="an older code fails once, a newer one for the number and purpose is accepted",
        goal="the older one is not called",
        run=_newer_wins,
    ),
    Night(
        name="purse",
        settings={"calls_per_hour": _PURSE},
        incident="ten thousand numbers at 50/s, a purse of 500 calls an hour",
        goal="500 calls, stopped, one page",
        run=_purse,
    ),
)
