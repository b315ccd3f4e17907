"""`voicecode`, the command line; also `celery -A worker voicecode`.

It holds no logic: every command calls an API.

`exit_codes` has the table of exit codes.
"""

import click

from worker.cli.account import account
from worker.cli.alert import alert
from worker.cli.balance import balance
from worker.cli.cancel import cancel
from worker.cli.check import check
from worker.cli.common import ErrorBoundary
from worker.cli.console import console
from worker.cli.dead import dead
from worker.cli.erase import erase
from worker.cli.exporter import exporter
from worker.cli.keys import keys
from worker.cli.number import number
from worker.cli.send import send
from worker.cli.settings import settings
from worker.cli.status import status
from worker.cli.worker import worker


@click.group(
    name="voicecode",
    cls=ErrorBoundary,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def voicecode() -> None:
    """Send a voice code, see what became of it, and work through the failure queue.

    Called at night? `voicecode status` shows the fleet on one screen, `voicecode check` what is
    wrong and its cure, `voicecode dead stats` what died and why.

    Exit codes: 0 done, 1 the answer is no, 2 usage or settings, 3 nothing matched, 4 no Redis,
    5 some of it done, 6 not agreed to, 7 full disk, 70 a bug. docs/command-line.md has more.
    """


for command in (
    send,
    status,
    cancel,
    check,
    account,
    number,
    dead,
    erase,
    keys,
    balance,
    settings,
    worker,
    exporter,
    console,
    alert,
):
    voicecode.add_command(command)


def main() -> None:
    """Run `voicecode`."""
    voicecode(prog_name="voicecode")
