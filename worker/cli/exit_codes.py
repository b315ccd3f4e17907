"""How a command ends: one table of exit codes, and errors as JSON for programs."""

import errno
import json
from typing import Final

import click

from worker.cli.terminal import say

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOTHING: Final = 3
NO_REDIS: Final = 4
PARTIAL: Final = 5
REFUSED: Final = 6
NO_DISK: Final = 7
BUG: Final = 70
INTERRUPTED: Final = 130

CODES: Final = {
    DONE: ("done", "all of it is done"),
    FAILED: ("failed", "the answer is no: a check fails, a code is dead, the gateway gave no balance"),
    USAGE: ("usage", "the command, a file or the settings cannot be used"),
    NOTHING: ("nothing", "nothing matched, nothing was done, or nothing is left (`balance`)"),
    NO_REDIS: ("redis", "Redis cannot be reached, or refused; what was done before is printed"),
    PARTIAL: ("partial", "some of it is done; the rest stays as it was"),
    REFUSED: ("refused", "the question was answered with no"),
    NO_DISK: ("disk", "the disk is full or read-only; no partial file is left"),
    BUG: ("bug", "an error that nobody foresaw, with a traceback on stderr"),
    INTERRUPTED: ("interrupted", "Ctrl-C"),
}
"""Each exit code's name, as in the field `error` of JSON, and its meaning."""

JSON: Final = "voicecode.json"
_DISK: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def end(code: int, message: str = "") -> None:
    """Print the message on stderr, as JSON under `--json`, and end with this exit code."""
    context = click.get_current_context(silent=True)
    if message and context is not None and context.meta.get(JSON) and code != DONE:
        error = {"error": CODES[code][0], "exit_code": code, "message": message}
        click.echo(json.dumps(error, ensure_ascii=True), err=True)
    elif message:
        say(message, err=True)
    raise click.exceptions.Exit(code)


def of_disk(error: OSError) -> int:
    """Return the exit code of an error about a file."""
    return NO_DISK if error.errno in _DISK else USAGE
