"""Measure what a code takes in Redis: while it waits, accepted, and dead, all indexes included.

`python benchmarks/memory.py [COUNT] [--at-most BYTES]` runs the ledger's own scripts on a server of
its own (`REDIS_SERVER=/path/to/redis-server` chooses another), each code for another number.
With `--at-most` it ends with 1 if an accepted code takes more.
"""

import argparse
import collections
import json
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import names
from config.replies import Replies
from config.settings import Settings
from worker.embedded.server import start_server
from worker.failure_queue.scan import batched
from worker.ledger import Ledger
from worker.ledger.finish import Outcome
from worker.message import VoiceCode
from worker.reply import Reply
from worker.retry import Decision, Done, GiveUp, Reason, RetryIn
from worker.store.availability import RedisAvailability
from worker.store.client import connect

HOURS: Final = 24
THREADS: Final = 16
WORKER: Final = "celery@worker-1"
DIGEST_KEY: Final = "the key of this benchmark"
REPLIES: Final = Replies()
SHORT: Final = ("number:*", "dead:newest:*")
"""What is gone long before the records are."""
ENDS: Final[dict[str, tuple[Reply, Decision]]] = {
    "waiting": (Reply(code=0, message="提交失败", elapsed_seconds=0.0483), RetryIn(3600)),
    "accepted": (
        Reply(code=2, message="提交成功", voice_id="16842079209571524017", elapsed_seconds=0.0483),
        Done(),
    ),
    "dead": (Reply(code=4051, message="剩余条数不足", elapsed_seconds=0.0483), GiveUp(Reason.PERMANENT)),
}


def used(client: Any) -> int:
    """Return the bytes that Redis has given out for data."""
    return int(client.info("memory")["used_memory"])


def take(ledger: Ledger, number: int, end: str) -> None:
    """Take one code through claim and finish."""
    reply, decision = ENDS[end]
    code = VoiceCode(
        key=f"login:{uuid.UUID(int=number * 7919)}",
        mobile=f"13{number * 48_271 % 10**9:09d}",
        code=f"{number % 10**6:06d}",
        expires_at=time.time() + 300,
        purpose="login",
    )
    claim = ledger.claim(code, token=f"{number:016x}", worker=WORKER, task_id=code.key[6:])
    row = reply.row(REPLIES)
    ledger.finish(Outcome(claim=claim, reply=reply, row=row, decision=decision, worker=WORKER))


def drop(client: Any, pattern: str) -> None:
    """Delete the keys of a pattern, as their time to live does."""
    for names_ in batched(client.scan_iter(match=f"{names.TAG}:{pattern}", count=5_000), 5_000):
        client.delete(*names_)


def measure(url: str, count: int, end: str) -> float:
    """Return the bytes a code, at the end of a day in which `count` of them came evenly.

    What lives for an hour is there for the codes of the last hour.
    """
    settings = Settings(_env_file=None, broker_url=url, digest_key=DIGEST_KEY)
    client: Any = connect(settings)
    client.flushall()
    ledger = Ledger(client, settings, RedisAvailability(0.0, time.monotonic))
    empty = used(client)
    with ThreadPoolExecutor(THREADS) as pool:
        for hour in range(HOURS):
            for pattern in SHORT:
                drop(client, pattern)
            some = range(hour * count // HOURS, (hour + 1) * count // HOURS)
            collections.deque(pool.map(lambda number: take(ledger, number, end), some), maxlen=0)
    drop(client, SHORT[0])  # these live for a minute
    full = used(client)
    client.close()
    return (full - empty) / count


def main() -> int:
    """Print a line for each end of a code, and the whole of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--only", choices=ENDS, action="append")
    parser.add_argument("--at-most", type=float, metavar="BYTES")
    arguments = parser.parse_args()
    found = {}
    with start_server() as server, server.client() as asked:
        version = asked.info("server")["redis_version"]
        for end in arguments.only or ENDS:
            found[end] = round(measure(server.url, arguments.count, end))
            print(f"{end:9} {found[end]:6} bytes a code", flush=True)
    print(json.dumps({"redis": version, "codes": arguments.count, "bytes": found}))
    return int(arguments.at_most is not None and found["accepted"] > arguments.at_most)


if __name__ == "__main__":
    sys.exit(main())
