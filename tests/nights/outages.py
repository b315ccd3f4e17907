"""Nights in which the gateway is away, or answers nonsense: each code still has time to live."""

import functools
import time
from typing import Final

from tests.nights import judge
from tests.nights.fleet import LIFE_SECONDS, Fleet
from tests.nights.night import Check, Night
from tests.support.workers import LIMIT_SECONDS, wait_for

_IN_FLIGHT: Final = 30
_BUSY_RATE: Final = 20.0
_SHARE: Final = 0.95
_SHORT_SHARE: Final = 0.8
"""A worker needs twenty tries to learn that nobody answers; that does not shrink with the night."""


def _away(fleet: Fleet, seconds: float, p95_seconds: float | None) -> list[Check]:
    fleet.start_three()
    away = fleet.pace.seconds(seconds)
    fleet.gateway.refuse()
    for _ in range(50):
        fleet.send()
    with fleet.producing(5, away):
        time.sleep(away)
        fleet.gateway.outage(None)
        returned_at = time.time()
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    found = [judge.all_accepted(fates), judge.calls_excused(fates)]
    if p95_seconds is not None:
        found.append(judge.accepted_within(fates, returned_at, fleet.pace.limit(p95_seconds)))
    return found


def _killed_in_mid_call(fleet: Fleet) -> list[Check]:
    fleet.start_three()
    fleet.gateway.outage("slow:7" if fleet.pace.scale == 1 else "slow:0.7")
    for _ in range(_IN_FLIGHT):
        fleet.send()
    wait_for(
        lambda: len(fleet.gateway.submissions()) >= min(_IN_FLIGHT, len(fleet.workers) * 10),
        LIMIT_SECONDS,
        "calls in flight",
    )
    fleet.simulator.kill()
    time.sleep(fleet.pace.seconds(6))
    fleet.simulator.restart()
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    return [judge.all_accepted(fates), judge.calls_excused(fates)]


def _answers_nonsense(fleet: Fleet, scenario: str, seconds: float) -> list[Check]:
    fleet.start_three()
    for worker_number in range(len(fleet.workers)):
        fleet.send(purpose=f"warm-{worker_number}")
    with fleet.producing(_BUSY_RATE):
        time.sleep(fleet.pace.seconds(5))
        fleet.gateway.outage(scenario)
        time.sleep(fleet.pace.seconds(seconds))
        fleet.gateway.outage(None)
        time.sleep(fleet.pace.seconds(15))
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    return [
        judge.share_accepted(fates, _SHARE if fleet.pace.scale == 1 else _SHORT_SHARE),
        judge.second_calls_excused(fates, 60),
        judge.calls_excused(fates),
    ]


def _refuses_a_third(fleet: Fleet) -> list[Check]:
    fleet.start_three()
    began = time.time()
    fleet.gateway.refuse(share=0.3, seed=1)
    with fleet.producing(_BUSY_RATE, fleet.pace.seconds(300)):
        pass
    ended = time.time()
    fleet.gateway.outage(None)
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    gap = judge.longest_gap((s.at for s in fleet.submissions()), began, ended)
    return [
        Check(f"longest pause {gap:.1f} s", gap <= fleet.pace.limit(15)),
        judge.share_accepted(fates, 0.95),
        judge.calls_excused(fates),
    ]


OUTAGES: Final = (
    Night(
        name="away-45",
        incident="gateway away for 45 s, 5 codes/s and 50 waiting",
        goal="all accepted, p95 within 8 s of the return",
        run=functools.partial(_away, seconds=45, p95_seconds=8),
    ),
    Night(
        name="away-120",
        incident="gateway away for 120 s, 5 codes/s and 50 waiting",
        goal="all accepted",
        run=functools.partial(_away, seconds=120, p95_seconds=None),
    ),
    Night(
        name="killed",
        incident="gateway killed with 30 calls in flight, back after 6 s",
        goal="all accepted, calls <= 1 + ambiguous",
        run=_killed_in_mid_call,
    ),
    Night(
        name="zeros",
        incident="reply 0 for everybody for 60 s, 20 codes/s",
        goal=">= 95 % accepted; second calls only where a reply was lost, < 60",
        run=functools.partial(_answers_nonsense, scenario="0", seconds=60),
    ),
    Night(
        name="5xx",
        incident="HTTP 502 for 45 s, 20 codes/s",
        goal=">= 95 % accepted; second calls only where a reply was lost, < 60",
        run=functools.partial(_answers_nonsense, scenario="http_502", seconds=45),
    ),
    Night(
        name="web-page",
        incident="a web page with status 200 for 45 s, 20 codes/s",
        goal=">= 95 % accepted; second calls only where a reply was lost, < 60",
        run=functools.partial(_answers_nonsense, scenario="html", seconds=45),
    ),
    Night(
        name="refused-30",
        incident="30 % of connections refused at random for 5 minutes, 20 codes/s",
        goal="sending never stops for longer than 15 s",
        run=_refuses_a_third,
    ),
)
