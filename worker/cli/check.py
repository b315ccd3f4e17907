"""`voicecode check`."""

import click

from worker.cli.common import DONE, FAILED, NO_REDIS, USAGE, end, json_option
from worker.cli.terminal import say, say_json

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command(short_help="Look for what would fail at night, each with its cure.")
@json_option
def check(*, as_json: bool) -> None:
    """Look for what would fail at night, and print each finding with its cure. Changes nothing.

    \b
    settings   wrong and unknown ones
    Redis      version, role, memory, eviction, persistence, clock, every script
    fleet      whether it sends, workers, backlog, failure queue
    queues     voice codes where no worker reads them
    gateway    TLS, clock, credentials and balance; no call is placed

    Exit codes: 0 nothing fails (there may be warnings), 1 something fails, 2 the settings cannot be
    used, 4 Redis cannot be reached.
    """  # noqa: D301 - click looks for the character, and finds none in a raw text
    from worker.diagnosis import Level, run_checks  # noqa: PLC0415 - `--help` does without it
    from worker.diagnosis.checks import REDIS, SETTINGS  # noqa: PLC0415 - the same

    failed = []
    for finding in run_checks():
        if finding.level is Level.FAIL:
            failed.append(finding.check)
        if as_json:
            say_json(finding.as_dict())
        else:
            say(f"{_MARKS[finding.level]}  {finding.check:<18}  {finding.text}")
            if finding.cure:
                say(f"{'':<26}{finding.cure}")
    code = USAGE if SETTINGS in failed else NO_REDIS if REDIS in failed else FAILED if failed else DONE
    end(code)
