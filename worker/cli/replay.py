"""`voicecode dead replay`."""

from typing import Any

import click

from worker.cli.common import DONE, FAILED, NOTHING, agree, end, json_option, open_queue, say_json, yes_option
from worker.cli.filters import all_option, chosen, filter_options


@click.command()
@click.argument("keys", nargs=-1)
@filter_options
@all_option
@click.option("--include-ambiguous", is_flag=True, help="Also those whose phone may have rung already.")
@click.option(
    "--include-superseded",
    is_flag=True,
    help="Also those for whose number and purpose a newer code was asked for.",
)
@click.option(
    "--expires-in",
    type=click.FloatRange(min=0, min_open=True),
    help="Give each code a new life of so many seconds, expired ones too.",
)
@click.option("--rate", help="At most so many a second: 20 or 20/s.")
@click.option(
    "--canary",
    is_flag=True,
    help="1 first, then 10, then the rest; stop when the account or the host is still at fault.",
)
@click.option(
    "--canary-seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Patience with the canary.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@yes_option
@json_option
def replay(  # noqa: PLR0913 - one argument per option
    wanted: Any,
    rate: str | None,
    expires_in: float | None,
    canary_seconds: float,
    *,
    everything: bool,
    include_ambiguous: bool,
    include_superseded: bool,
    canary: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put dead letters back, to be called now: KEYS, or what a filter means. Shows the plan and asks before it does so.

    May be broken off (Ctrl-C) and repeated: each is replayed once, and what was not reached stays in the failure queue.
    """
    from worker.cli.tables import carry_out, show_plan  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue import Choice, Pace  # noqa: PLC0415 - the same

    chosen(wanted, everything=everything)
    queue = open_queue()
    try:
        choice = Choice(ambiguous=include_ambiguous, superseded=include_superseded, life_seconds=expires_in)
        pace = Pace(per_second=_per_second(rate), canary=canary, patience_seconds=canary_seconds)
        plan = queue.plan(wanted, choice)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not as_json:
        show_plan(plan, choice)
    if dry_run or not plan.keys:
        if as_json:
            say_json({"plan": plan.as_dict()})
        end(DONE if plan.keys else NOTHING, "" if plan.keys or as_json else "There is nothing to replay.")
    agree(f"Replay {len(plan.keys):,} codes now?", yes=yes)
    run = queue.replay(plan.keys, choice, pace)
    carry_out(run, quiet=as_json)
    progress = run.progress
    left = progress.total - progress.replayed
    if as_json:
        words = dict(progress.words)
        result = {
            "run": progress.run,
            "replayed": progress.replayed,
            "left": left,
            "words": words,
            "stopped": progress.stopped,
        }
        say_json({"plan": plan.as_dict(), **result})
    else:
        click.echo(f"Replayed {progress.replayed:,} of {progress.total:,}. Run {progress.run}.")
    if left:
        why = progress.stopped or ", ".join(
            f"{word} {count}" for word, count in progress.words.items() if word != "replayed"
        )
        end(FAILED, "" if as_json else f"Left as they were: {left:,}. {why or 'interrupted'}")
    end(FAILED if plan.counts["missing"] else DONE)


def _per_second(rate: str | None) -> float | None:
    if rate is None:
        return None
    value = float(rate.removesuffix("/s"))
    if not value > 0:
        message = "a rate is above 0"
        raise ValueError(message)
    return value
