"""The options by which commands select dead letters."""

import functools
import time
from collections.abc import Callable
from typing import Any

import click

from worker.cli.terminal import say

_OPTIONS = (
    click.option(
        "--reason",
        metavar="REASON",
        help="Why it died: permanent, exhausted, expired, ambiguous, bad_input ... (see `dead stats`).",
    ),
    click.option(
        "--code",
        "codes",
        multiple=True,
        metavar="CODE",
        help="The last attempt's reply code or symptom (see `dead stats`). May be repeated: any of them.",
    ),
    click.option(
        "--scope", metavar="SCOPE", help="What is at fault: account, host, number, message or none."
    ),
    click.option(
        "--since", metavar="TIME", help="Died at this time or later: 2h30m (ago), or 2026-01-31T03:00+08:00."
    ),
    click.option(
        "--until",
        metavar="TIME",
        help="Died at this time or earlier. Without a zone, this machine's zone counts.",
    ),
    click.option("--mobile-ends", metavar="DIGITS", help="The last four digits of the number."),
    click.option(
        "--key", "some_keys", multiple=True, metavar="KEY", help="The key. May be repeated: any of them."
    ),
    click.option(
        "--ambiguous/--no-ambiguous", default=None, help="The phone may have rung already, or it cannot have."
    ),
    click.option(
        "--purpose",
        metavar="PURPOSE",
        help="What the code was for. Looks into the newest 10,000 of the rest.",
    ),
    click.option(
        "--text",
        metavar="TEXT",
        help="A part of the last reply's text, or of the detail. Looks like --purpose.",
    ),
    click.option("--sendable", is_flag=True, help="A replay would call it now."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filter's options to a command, which is then called with `wanted`, a Filter."""

    @functools.wraps(command)
    def with_filter(  # noqa: PLR0913 - one argument per option
        *args: Any,
        reason: str | None,
        codes: tuple[str, ...],
        scope: str | None,
        since: str | None,
        until: str | None,
        mobile_ends: str | None,
        some_keys: tuple[str, ...],
        ambiguous: bool | None,
        purpose: str | None,
        text: str | None,
        sendable: bool,
        **more: Any,
    ) -> Any:
        from worker.failure_queue.asked import read_filter  # noqa: PLC0415 - `--help` does without it
        from worker.failure_queue.timestamps import interval  # noqa: PLC0415 - the same

        now = time.time()
        as_json = more.get("as_json")
        try:
            wanted = read_filter(
                now=now,
                keys=(*some_keys, *more.pop("keys", ())),
                reason=reason,
                codes=codes,
                scope=scope,
                since=since,
                until=until,
                mobile_ends=mobile_ends,
                ambiguous=ambiguous,
                purpose=purpose,
                text=text,
                sendable=sendable,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if (died := interval(wanted.since, wanted.until)) and not as_json:
            say(f"Died {died}.", err=True)
        return command(*args, wanted=wanted, **more)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter


def chosen(wanted: Any, *, everything: bool) -> None:
    """Refuse to change the whole queue just because no filter was given."""
    if wanted.empty and not everything:
        message = "name keys, add a filter, or say --all"
        raise click.UsageError(message)


all_option: Callable[..., Any] = click.option(
    "--all", "everything", is_flag=True, help="Select every dead letter."
)
