"""`voicecode account ...`: whether the fleet sends, and a person's word about it."""

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from worker.cli.common import NOTHING, agree, end, json_option, settings, yes_option
from worker.cli.terminal import say, say_json

if TYPE_CHECKING:
    from worker.sending.account import Account


_RESUMED = {
    "trial": "On trial.",
    "unblocked": "The fleet sends already. Accounts that were refused may try again.",
    "": "The fleet sends already.",
}
_ENDED_BY = {"person": "a person must act", "time": "it ends by itself"}


@click.group()
def account() -> None:
    """See whether codes are being sent, and stop or resume sending for the whole fleet."""


def open_account() -> "Account":
    """Return the account, opened in the operator's name."""
    from worker.failure_queue.audit import default_operator  # noqa: PLC0415 - `--help` does without it
    from worker.sending.account import Account  # noqa: PLC0415 - the same
    from worker.store.client import connect  # noqa: PLC0415 - the same

    loaded = settings()
    return Account(connect(loaded), operator=loaded.operator or default_operator())


@account.command(name="status")
@json_option
def status(*, as_json: bool) -> None:
    """Show whether the fleet sends, why not and since when, and what each worker says."""
    opened = open_account()
    sending, balance, workers = opened.sending(), opened.balance(), opened.workers()
    facts: dict[str, Any] = {
        "sending": {**dataclasses.asdict(sending), "state": sending.state.value, "offer": sending.offer},
        "balance": balance[0] if balance else None,
        "workers": [dataclasses.asdict(worker) for worker in workers],
    }
    if as_json:
        say_json(facts)
        return
    from worker.failure_queue.timestamps import iso  # noqa: PLC0415 - `--help` does without it

    since = f" since {iso(sending.since)}" if sending.since else ""
    why = (
        f" by {sending.row} ({_ENDED_BY.get(sending.mends, sending.mends)})"
        if sending.row and sending.offer == "sms"
        else ""
    )
    say(f"{sending.state.value}{why}{since}" + (f": {sending.note}" if sending.note else ""))
    if sending.offer == "sms":
        say(f"parked {sending.parked:,}   refused {sending.refused:,}   failed trials {sending.failures}")
    say(f"balance {balance[0]:,}" if balance else "balance unknown: no worker has asked yet")
    for worker in workers:
        fault = (
            f"unfit: {worker.unfit}"
            if worker.unfit
            else f"blocked: {worker.blocked}"
            if worker.blocked
            else "fit"
        )
        standby = " standby" if worker.standby else ""
        say(
            f"{worker.worker}  host {worker.host}  configuration {worker.config}{standby}"
            f"  {worker.slots} slots  {fault}"
        )
    if not workers:
        end(NOTHING, "No worker is live.")


@account.command()
@click.option("--note", default="", help="Why; the next person reads it.")
@yes_option
def hold(note: str, *, yes: bool) -> None:
    """Stop sending until somebody resumes it. Codes are parked meanwhile."""
    agree("Stop sending for the whole fleet?", yes=yes)
    say("Held." if open_account().hold(note) else "It was held already.")


@account.command()
@click.option("--note", default="", help="Why; the next person reads it.")
@yes_option
def resume(note: str, *, yes: bool) -> None:
    """Let the fleet try again: one code, then ten, then all of them.

    It forgets what blocked the configurations, and starts the counts of an empty purse again.
    While the fleet sends, accounts that were refused may try again.
    """
    agree("Try one code, and go on sending if it is accepted?", yes=yes)
    say(_RESUMED[open_account().resume(note)])
