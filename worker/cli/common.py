"""What the commands share: exit codes, errors, the queue, and the question before a change."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli.terminal import say

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.failure_queue import FailureQueue

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOTHING: Final = 3
NO_REDIS: Final = 4

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
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _explain(error)
            raise


def _explain(error: Exception) -> None:
    """End the process if the settings or Redis are at fault.

    Anything else is a bug and keeps its traceback.
    """
    import redis  # noqa: PLC0415 - only where something went wrong

    from config.settings import SettingsError  # noqa: PLC0415 - the same
    from worker.store.availability import RedisUnavailable  # noqa: PLC0415 - the same

    if isinstance(error, SettingsError):
        end(USAGE, f"The settings cannot be used:\n{error}\nAll settings: docs/settings.md")
    if isinstance(error, redis.RedisError | RedisUnavailable):
        first_line = str(error).partition("\n")[0]
        end(NO_REDIS, f"Redis cannot be reached, or refused the command: {first_line}")


def end(code: int, message: str = "") -> None:
    """Print the message on stderr and end with this exit code."""
    if message:
        say(message, err=True)
    raise click.exceptions.Exit(code)


def settings() -> "Settings":
    """Read the settings."""
    from config.settings import load  # noqa: PLC0415 - `--help` does without it

    return load()


def open_queue() -> "FailureQueue":
    """Return the failure queue, opened in the operator's name."""
    from worker.failure_queue import FailureQueue  # noqa: PLC0415 - `--help` does without it
    from worker.failure_queue.audit import default_operator  # noqa: PLC0415 - the same
    from worker.store.client import connect  # noqa: PLC0415 - the same

    loaded = settings()
    return FailureQueue(connect(loaded), loaded, operator=loaded.operator or default_operator())


def agree(question: str, *, yes: bool) -> None:
    """Ask the operator, and end unless the answer is yes. Without a terminal, --yes is required."""
    if yes:
        return
    if not sys.stdin.isatty():
        message = "there is no terminal to ask on: add --yes"
        raise click.UsageError(message)
    if not click.confirm(question, err=True):
        end(FAILED, "Nothing was done.")
