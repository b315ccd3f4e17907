"""`voicecode dead replay`."""

import sys
from typing import Any

import click

from worker.cli.common import (
    DONE,
    NO_REDIS,
    NOTHING,
    PARTIAL,
    agree,
    end,
    json_option,
    open_queue,
    yes_option,
)
from worker.cli.durations import Duration
from worker.cli.filters import all_option, chosen, filter_options
from worker.cli.terminal import say, say_json


@click.command(short_help="Call dead letters again, now.")
@click.argument("keys", nargs=-1)
@filter_options
@all_option
@click.option(
    "--include-ambiguous",
    is_flag=True,
    help="Also replay codes whose phone may have rung already: some people may be called twice.",
)
@click.option(
    "--include-superseded",
    is_flag=True,
    help="Also replay codes that a newer one for the same number and purpose has replaced.",
)
@click.option(
    "--expires-in",
    type=Duration(),
    metavar="DURATION",
    help="Give each code, expired or not, a new life of this length.",
)
@click.option("--rate", metavar="RATE", help="Replay at most this many: 20/s, 300/m, 5000/h.")
@click.option(
    "--canary",
    is_flag=True,
    help="Replay 1 first, then 10, then the rest. Stop if the account or the host is still at fault.",
)
@click.option(
    "--canary-seconds",
    default=30.0,
    show_default=True,
    type=Duration(),
    metavar="DURATION",
    help="With --canary: stop if no attempt has ended for this many seconds.",
)
@click.option(
    "--follow/--no-follow",
    default=None,
    help="Watch the codes until they are accepted, expired or dead again. Default: on a terminal.",
)
@click.option("--dry-run", is_flag=True, help="Only print the plan.")
@yes_option
@json_option
def replay(  # noqa: PLR0913 - one argument per option
    wanted: Any,
    rate: str | None,
    expires_in: float | None,
    canary_seconds: float,
    follow: bool | None,  # noqa: FBT001 - click gives it by name
    *,
    everything: bool,
    include_ambiguous: bool,
    include_superseded: bool,
    canary: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Call dead letters again, now: KEYS, or what the filters select.

    Prints the plan and asks first. Expired codes, codes that a newer one has replaced, and codes
    whose phone may have rung are left alone unless an option says otherwise.

    The soonest to expire go first. `dead run show RUN` tells later what became of them, and
    `dead run cancel RUN` takes back what nobody has called yet.

    Ctrl-C is safe at any time, and so is the same command once more: each code is replayed once,
    and those that were not reached stay in the failure queue.
    """
    from worker.cli import carry_out  # noqa: PLC0415 - `--help` does without it
    from worker.cli.tables import show_plan  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue import Choice, Pace, ReplayStatus, timestamps  # noqa: PLC0415 - the same

    chosen(wanted, everything=everything)
    queue = open_queue(wanted)
    try:
        choice = Choice(ambiguous=include_ambiguous, superseded=include_superseded, life_seconds=expires_in)
        pace = Pace(
            per_second=timestamps.rate(rate) if rate else None, canary=canary, patience_seconds=canary_seconds
        )
        plan = carry_out.plan(queue, wanted, choice, quiet=as_json)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not as_json:
        show_plan(plan, choice, queue.drain(plan, pace))
    if dry_run or not plan.keys:
        if as_json:
            say_json({"plan": plan.as_dict(), "drain": queue.drain(plan, pace).as_dict()})
        end(DONE if plan.keys else NOTHING, "" if plan.keys or as_json else "Nothing to replay.")
    agree(f"Replay {len(plan.keys):,} codes now?", yes=yes)
    run = queue.replay(plan.keys, choice, pace, asked=str(wanted))
    code = carry_out.replay(run, quiet=as_json)
    progress = run.progress
    left = progress.total - progress.replayed
    watch = sys.stderr.isatty() and not as_json if follow is None else follow
    if not as_json:
        say(f"Replayed {progress.replayed:,} of {progress.total:,}. Run {progress.run}.")
    since = {}
    if watch and progress.replayed and queue.drain(plan, pace).workers and code != NO_REDIS:
        since = carry_out.follow(queue, progress.run, quiet=as_json)
    if as_json:
        result = {
            "run": progress.run,
            "replayed": progress.replayed,
            "left": left,
            "statuses": progress.statuses,
            "stopped": progress.stopped,
            "since": since,
        }
        say_json({"plan": plan.as_dict(), **result})
    elif since:
        told = ", ".join(f"{outcome} {count:,}" for outcome, count in since.items() if count)
        say(f"Since then: {told}.")
    if left:
        why = progress.stopped or ", ".join(
            f"{status} {count}"
            for status, count in progress.statuses.items()
            if status is not ReplayStatus.REPLAYED
        )
        end(
            code if progress.replayed or code == NO_REDIS else NOTHING,
            f"Left as they were: {left:,}. {why or 'interrupted'}",
        )
    end(PARTIAL if plan.counts[ReplayStatus.MISSING] else DONE)
