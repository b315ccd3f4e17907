"""What must hold after each step of a fleet's walk, told from the outside.

The agreement with the model apart, nothing here looks at what the scripts decide by.
"""

import dataclasses
import random
from typing import Any, Final

from config import names
from config.replies import Mends, Spends
from tests.support.fleet_driver import FleetDriver, row_of
from tests.support.fleet_model import LEASE, NARROW, WIDE, FleetModel
from tests.support.ledger_driver import REPLIES
from worker.ledger.claim import Claim
from worker.retry import Reason

PER_MINUTE: Final = 5
DEADLINE: Final = 10
"""Seconds: a form leaves so long after its claim at the latest."""
NO_ONE_CAN_HELP: Final = {Reason.EXPIRED.value, Reason.SUPERSEDED.value, Reason.RATE_LIMITED.value}
FOR_A_PERSON: Final = {row.name for row in REPLIES.rows if row.mends is Mends.PERSON}
Claims = list[tuple[float, str]]
"""Moments and tokens of claims whose form has left, or may yet."""


@dataclasses.dataclass(slots=True)
class Call:
    """A claim that was told to call."""

    claim: Claim
    worker: str
    generation: int
    at: int
    mobile: str


def agree(driver: FleetDriver, model: FleetModel, calls: list[Call]) -> None:
    """Compare the record with the model; F1: in a trial so few are called at once."""
    record = driver.sending
    found = (record.state.value, record.generation, record.failures)
    assert found == (model.state, model.generation, model.failures)
    if model.state in {"stopped", "trial"} and model.row is not None:
        assert record.row == model.row.name
    configs: Any = driver.client.hkeys(f"{names.SENDING}:configs")
    assert {name for name in configs if ":" not in name} == set(model.blocked)
    in_trial = [
        call for call in calls if call.generation == model.generation and not model.past(call.at, LEASE)
    ]
    if model.state == "trial":
        assert len(in_trial) <= (WIDE if model.accepted else NARROW)


def limited(driver: FleetDriver, claims: Claims) -> None:
    """Let a number wait only where its budget or the gap between two forms asks for it."""
    moments = [at for at, _ in claims if driver.now - at < 60 + DEADLINE]
    full = len(moments) >= PER_MINUTE
    assert full or driver.now - max(moments) < driver.settings.retry_gap_seconds


def nobody_is_called_too_often(claimed: dict[str, Claims], chance: random.Random) -> None:
    """F4: a form leaves at any time from its claim to the attempt's deadline."""
    for mobile, claims in claimed.items():
        forms = sorted(at + chance.choice((0, DEADLINE)) for at, _ in claims)
        for first, sixth in zip(forms, forms[PER_MINUTE:], strict=False):
            assert sixth - first > 60, f"{PER_MINUTE + 1} forms to {mobile} in {sixth - first:.3f} s"


def what_never_left_lives(driver: FleetDriver) -> None:
    """F3: a code of which no form ever left dies of its life, of its number, or for a person."""
    keys: Any = driver.client.zrange(names.DEAD, 0, -1)
    for record in map(driver.record, keys):
        rows = [row_of(attempt.row or "2") for attempt in record.attempts]
        # A death in a call may have rung; a late finish may say otherwise, when it is too late.
        if record.deaths or any(row.spends is not Spends.NOTHING for row in rows):
            continue
        unsubmitted = record.reason == Reason.PERMANENT.value and record.row in FOR_A_PERSON
        assert record.reason in NO_ONE_CAN_HELP or unsubmitted, record.key
