"""What the commands share: exit codes, errors, the queue, and the question before a change."""

import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from worker.cli.exit_codes import (
    BUG,
    DONE,
    FAILED,
    INTERRUPTED,
    JSON,
    NO_REDIS,
    NOTHING,
    PARTIAL,
    REFUSED,
    USAGE,
    end,
    of_disk,
)

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.failure_queue import FailureQueue, Filter

json_option: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: one object per line."
)
yes_option: Callable[..., Any] = click.option(
    "--yes", is_flag=True, help="Do not ask for confirmation. Required without a terminal."
)


class ErrorBoundary(click.Group):
    """The outermost group: turns an error of any command into one plain line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        ctx.meta[JSON] = "--json" in [*getattr(ctx, "_protected_args", ()), *ctx.args]
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if not ctx.meta[JSON]:
                raise
            end(error.exit_code, error.format_message())
        except click.exceptions.Exit:
            raise
        except click.Abort:
            end(REFUSED, "Nothing was done.")
        except KeyboardInterrupt:
            end(INTERRUPTED, "Interrupted.")
        except BrokenPipeError:
            raise  # `| head` has read enough: click ends quietly
        except Exception as error:  # noqa: BLE001 - the outermost one
            _explain(error)


def _explain(error: Exception) -> None:
    """End the process: the settings or Redis are at fault, or else it is a bug."""
    import redis  # noqa: PLC0415 - only where something went wrong

    from config.settings import SettingsError  # noqa: PLC0415 - the same
    from worker.store.availability import RedisUnavailable  # noqa: PLC0415 - the same

    if isinstance(error, SettingsError):
        end(USAGE, f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")
    if isinstance(error, redis.RedisError | RedisUnavailable):
        first_line = str(error).partition("\n")[0]
        end(NO_REDIS, f"Redis cannot be reached, or refused the command: {first_line}")
    traceback.print_exc()
    end(BUG, f"This is a bug ({type(error).__name__}): please report it with the lines above.")


def settings() -> "Settings":
    """Read the settings."""
    from config.settings import load  # noqa: PLC0415 - `--help` does without it

    return load()


def open_queue(wanted: "Filter | None" = None) -> "FailureQueue":
    """Return the failure queue, opened in the operator's name.

    Raises click.UsageError if `wanted` names what nobody knows.
    """
    from worker.failure_queue import FailureQueue  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue.audit import default_operator  # noqa: PLC0415 - the same
    from worker.store.client import connect  # noqa: PLC0415 - the same

    loaded = settings()
    queue = FailureQueue(connect(loaded), loaded, operator=loaded.operator or default_operator())
    if wanted is not None:
        try:
            queue.check(wanted)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return queue


def agree(question: str, *, yes: bool) -> None:
    """Ask the operator, and end unless the answer is yes. Without a terminal, --yes is required."""
    if yes:
        return
    if not sys.stdin.isatty():
        message = "there is no terminal to ask on: add --yes"
        raise click.UsageError(message)
    if not click.confirm(question, err=True):
        end(REFUSED, "Nothing was done.")


__all__ = [
    "BUG",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "NOTHING",
    "NO_REDIS",
    "PARTIAL",
    "REFUSED",
    "USAGE",
    "ErrorBoundary",
    "agree",
    "end",
    "json_option",
    "of_disk",
    "open_queue",
    "settings",
    "yes_option",
]
