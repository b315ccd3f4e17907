"""The options by which commands choose dead letters."""

import functools
import time
from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option("--reason", help="Why it died: permanent, exhausted, expired, ambiguous, bad_input, ..."),
    click.option(
        "--code",
        "codes",
        multiple=True,
        help="Reply code or symptom, as `dead stats` names them; may be repeated.",
    ),
    click.option("--scope", help="What was at fault: account, host, number, message, none."),
    click.option("--since", help="Died at or after: 2h (ago), or 2026-01-31T03:00."),
    click.option("--until", help="Died at or before: 2h (ago), or 2026-01-31T03:00."),
    click.option("--mobile-ends", help="Last four digits of the number."),
    click.option("--key", "some_keys", multiple=True, help="Key; may be repeated."),
    click.option("--ambiguous/--no-ambiguous", default=None, help="Whether the phone may have rung already."),
    click.option("--sendable", is_flag=True, help="Not yet expired."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the filter's options; it gets `wanted`, a Filter."""

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
        sendable: bool,
        **more: Any,
    ) -> Any:
        from worker.failure_queue.filters import Filter  # noqa: PLC0415 - `--help` does without it
        from worker.failure_queue.timestamps import moment  # noqa: PLC0415 - the same

        now = time.time()
        try:
            wanted = Filter(
                keys=(*some_keys, *more.pop("keys", ())),
                reason=reason,
                codes=codes,
                scope=scope,
                since=None if since is None else moment(since, now=now),
                until=None if until is None else moment(until, now=now),
                mobile_ends=mobile_ends,
                ambiguous=ambiguous,
                sendable=sendable,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return command(*args, wanted=wanted, **more)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter


def chosen(wanted: Any, *, everything: bool) -> None:
    """Insist that a command which changes things is told which dead letters it is for."""
    if wanted.empty and not everything:
        message = "name keys, give a filter, or say --all"
        raise click.UsageError(message)


all_option: Callable[..., Any] = click.option("--all", "everything", is_flag=True, help="Every dead letter.")
