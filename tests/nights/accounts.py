"""Nights in which the account, a key or a host is at fault: every worker meets the same refusal."""

import time
from collections.abc import Sequence
from typing import Final

from tests.nights import judge
from tests.nights.fleet import LIFE_SECONDS, Fate, Fleet
from tests.nights.night import Check, Night
from tests.support.simulator import ACCOUNT, APIKEY
from tests.support.workers import LIMIT_SECONDS, wait_for
from worker.simulator.journal import Submission

_RATE: Final = 20.0
_MOST_FURTHER: Final = 30
_WRONG_KEY: Final = "a-key-with-a-typing-error"
_NEW_KEY: Final = "the-rotated-key-of-tests"
_SECOND: Final = ("C00000002", "second-made-up-key")


def _refused(fleet: Fleet, reply: int, account: str = ACCOUNT) -> list[Submission]:
    return [s for s in fleet.submissions() if s.reply == reply and s.account == account]


def _first_refusal(fleet: Fleet, reply: int) -> float:
    wait_for(lambda: _refused(fleet, reply), LIMIT_SECONDS * 2, f"the first {reply}")
    return _refused(fleet, reply)[0].at


def _empty(fleet: Fleet) -> list[Check]:
    """Two thousand codes at 20 a second; the balance lasts for the first half."""
    fleet.start_three()
    seconds = fleet.pace.seconds(100)
    fleet.gateway.balance(int(_RATE * seconds / 2))
    with fleet.producing(_RATE, seconds):
        first = _first_refusal(fleet, 4051)
        time.sleep(max(0.0, first + fleet.pace.seconds(60) - time.time()))
        topped_up_at = time.time()
        fleet.gateway.top_up(1_000_000)
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    further = [s for s in _refused(fleet, 4051) if s.at > first]
    parked = [fate for fate in fates if first <= fate.code.at < topped_up_at < fate.code.expires_at]
    waits = [
        fate.record.accepted_at - topped_up_at for fate in parked if fate.record and fate.record.accepted_at
    ]
    slowest = max(waits, default=0.0)
    return [
        judge.submitted_at_most(further, _MOST_FURTHER),
        Check(f"{len(waits)} of {len(parked)} parked ones called", len(waits) == len(parked)),
        Check(f"the last one {slowest:.1f} s after the top-up", slowest <= fleet.pace.limit(30)),
        judge.none_lost(fates),
        judge.pages(fleet),
    ]


def _died_within(fates: Sequence[Fate], limit: float) -> Check:
    waits = [fate.record.died_at - fate.code.at for fate in fates if fate.record and fate.record.died_at]
    missing = len(fates) - len(waits)
    longest = max(waits, default=0.0)
    return Check(
        f"{len(waits)} dead letters within {longest:.1f} s{f', {missing} not' if missing else ''}",
        bool(waits) and not missing and longest <= limit,
    )


def _frozen(fleet: Fleet) -> list[Check]:
    fleet.start_three()
    with fleet.producing(_RATE):
        time.sleep(fleet.pace.seconds(10))
        fleet.gateway.account("4050")
        first = _first_refusal(fleet, 4050)
        time.sleep(fleet.pace.seconds(30) + 2)
    fleet.wait_ended(fleet.pace.limit(20))
    fates = fleet.fates()
    further = [s for s in _refused(fleet, 4050) if s.at > first]
    later = [fate for fate in fates if fate.code.at > first + 1]
    found = [
        judge.submitted_at_most(further, _MOST_FURTHER),
        _died_within(later, fleet.pace.limit(1) if fleet.pace.scale < 1 else 1.0),
        judge.pages(fleet),
    ]
    fleet.gateway.account(None)
    fleet.voicecode("account", "resume", "--yes")
    fleet.voicecode("dead", "replay", "--sendable", "--yes")
    fleet.wait_ended(fleet.pace.limit(60))
    fates = fleet.fates()
    return [*found, judge.all_accepted(fates), judge.calls_excused(fates)]


def _wrong_key(fleet: Fleet) -> list[Check]:
    fleet.start()
    fleet.start()
    fleet.wait_ready()
    blocked: list[Submission] = []
    with fleet.producing(_RATE):
        time.sleep(fleet.pace.seconds(5))
        fleet.start(apikey=_WRONG_KEY).wait_ready()
        time.sleep(fleet.pace.seconds(20))
        blocked = [s for s in fleet.submissions() if s.signature == "wrong"]
        fleet.gateway.apikeys(_NEW_KEY, APIKEY)
        for old in list(fleet.workers):
            fleet.start(apikey=_NEW_KEY).wait_ready()
            old.stop()
        fleet.gateway.apikeys(_NEW_KEY)
        time.sleep(fleet.pace.seconds(10))
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    return [
        Check(f"{len(blocked)} submissions with the wrong key", 0 < len(blocked) <= 10),
        judge.dead_at_most(fates, len(blocked)),
        judge.none_lost(fates),
        judge.calls_excused(fates),
    ]


def _refused_host(fleet: Fleet) -> list[Check]:
    for number in range(1, 4):
        fleet.start(address=f"10.0.0.{number}")
    fleet.wait_ready()
    fleet.gateway.client_address("10.0.0.2", "4052")
    with fleet.producing(_RATE, fleet.pace.seconds(60)):
        pass
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    refused = _refused(fleet, 4052)
    return [
        judge.dead_at_most(fates, 0),
        judge.all_accepted(fates),
        Check(f"{len(refused)} submissions from the refused host", bool(refused)),
    ]


def _standby(fleet: Fleet) -> list[Check]:
    for _ in range(2):
        fleet.start()
    fleet.start(account=_SECOND[0], apikey=_SECOND[1], standby=True)
    fleet.wait_ready()
    with fleet.producing(_RATE):
        time.sleep(fleet.pace.seconds(10))
        fleet.gateway.account("4050")
        first = _first_refusal(fleet, 4050)
        time.sleep(fleet.pace.seconds(30))
    fleet.wait_ended(fleet.pace.limit(LIFE_SECONDS))
    fates = fleet.fates()
    submissions = fleet.submissions()
    carried_on = [s.at for s in submissions if s.called and s.account == _SECOND[0]]
    pause = min((at for at in carried_on if at > first), default=float("inf")) - first
    further = [s for s in submissions if s.account == ACCOUNT and s.at > first]
    refused = {s.mobile for s in submissions if s.reply == 4050}
    rest = [fate for fate in fates if fate.code.mobile not in refused]
    return [
        judge.none_lost(fates),
        judge.all_accepted(rest),
        Check(f"sent by the second after {pause:.1f} s", pause <= fleet.pace.limit(2)),
        judge.submitted_at_most(further, _MOST_FURTHER, "submissions to the first account"),
    ]


ACCOUNTS: Final = (
    Night(
        name="4051",
        incident="4051 in the middle of 2,000 codes at 20/s, topped up after 60 s",
        goal="further submissions <= 30; all parked ones called within 30 s of the top-up; one page",
        run=_empty,
    ),
    Night(
        name="4050",
        incident="4050 at 20/s",
        goal="further submissions <= 30; later codes dead in 1 s; all called after resume, replay; one page",
        run=_frozen,
    ),
    Night(
        name="wrong-key",
        incident="wrong key in one of three pods at 20/s; then the key rotated pod by pod",
        goal="0 dead letters beyond the calls in flight when it was blocked",
        run=_wrong_key,
    ),
    Night(
        name="4052",
        incident="4052 on one of three workers, 20/s",
        goal="0 dead letters",
        run=_refused_host,
    ),
    Night(
        name="standby",
        incident="4050 on the first account at 20/s, a standby worker with a second one",
        goal="0 lost, sent by the second within 2 s, <= 30 submissions to the first",
        run=_standby,
        gateway=("--other-account", *_SECOND),
    ),
)
