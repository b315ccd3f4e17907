"""`voicecode worker`."""

import os

import click

from worker.cli.common import end
from worker.cli.common import settings as read_settings


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    metavar="N",
    help="How many processes. Default: one for each core that may be used.",
)
@click.option(
    "-n",
    "--name",
    default="worker",
    show_default=True,
    metavar="NAME",
    help="Name of the processes: NAME1@host, NAME2@host ...",
)
def worker(processes: int | None, name: str) -> None:
    """Run worker processes until SIGTERM. Each has VOICECODE_CONCURRENCY calls in flight.

    A process that dies is started again. Exit code 0: all ended as they were asked to. 1: one did
    not, or they all died before they had begun to consume.
    """
    from config import logs  # noqa: PLC0415 - `--help` does without it
    from worker.process.supervisor import Supervisor, cores  # noqa: PLC0415 - the same

    loaded = read_settings()
    loaded.require_gateway()
    logs.configure(loaded)
    supervisor = Supervisor(
        processes or cores(), heartbeat_file=loaded.heartbeat_file, environment=os.environ, name=name
    )
    end(supervisor.run())
