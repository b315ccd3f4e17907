"""What an accepted code takes on Redis 7.0, as docs/operating.md tells it."""

import os
import subprocess
import sys

import pytest

from tests.support.redis_versions import program_of
from tests.support.workers import ROOT
from worker.diagnosis.room import ACCEPTED_BYTES

pytestmark = pytest.mark.integrations
CODES = 30_000
"""Just under a power of two, as a million is. What is there once weighs little among so many."""


def test_an_accepted_code_takes_no_more_than_the_page_says() -> None:
    command = [sys.executable, "benchmarks/memory.py", str(CODES), "--only", "accepted"]
    measured = subprocess.run(
        [*command, "--at-most", str(ACCEPTED_BYTES)],
        cwd=ROOT,
        env={**os.environ, "REDIS_SERVER": program_of("7.0")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"redis": "7.0' in measured.stdout
    assert measured.returncode == 0, measured.stdout + measured.stderr
