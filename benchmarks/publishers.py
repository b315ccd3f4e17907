"""What a message costs the web app: by the client of `clients/python`, and by stock Celery.

Both in the environment of stock Celery, with the same redis-py, in turns on one Redis.
"""

import functools
import json
import os
import subprocess
from typing import Final

from benchmarks.field import OURS
from benchmarks.measures import Plan, tried
from benchmarks.results import Results
from benchmarks.trial import TrialError
from benchmarks.venvs import PEERS, bin_of
from worker.embedded.server import Server, start_server

MESSAGES: Final = 1_000_000
SHARE: Final = 50_000
"""In one turn: so many lie in Redis at once."""
PUBLISHERS: Final = {"client": "client_codes:enqueue", "celery": "celery_tasks:enqueue_ours"}


def publishers(results: Results, plan: Plan) -> None:
    """Publish a million messages by each, in turns."""
    count = plan.codes(MESSAGES)
    with start_server() as server:
        for first in range(0, count, SHARE):
            for name, function in PUBLISHERS.items():
                turn = functools.partial(
                    _turn, results, server, name, function, first, min(SHARE, count - first)
                )
                tried(results, OURS, f"publish by {name}", turn)


def _turn(results: Results, server: Server, name: str, function: str, first: int, count: int) -> None:  # noqa: PLR0913, PLR0917 - the turn
    server.flush()
    command = [str(bin_of("celery") / "python"), "produce.py", function, str(count), "--first", str(first)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    target = {"PYTHONPATH": str(PEERS), "BENCH_REDIS_PORT": str(server.port), "BENCH_GATEWAY": "http://none"}
    done = subprocess.run(
        command, cwd=PEERS, env={**clean, **target}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TrialError(done.stderr)
    with server.client() as client:
        if (found := client.llen("voice_codes")) != count:
            message = f"{found} of {count} messages arrived"
            raise TrialError(message)
    said = json.loads(done.stdout)
    results.note(f"publish_{name}_us", OURS, said["seconds_a_code"] * 1e6)
    results.note(f"publish_{name}_cpu_us", OURS, said["cpu_seconds_a_code"] * 1e6)
