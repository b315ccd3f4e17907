"""Enqueues with a peer's own client.

`produce.py MODULE:FUNCTION COUNT [--rate A_SECOND] [--moments FILE]`.

Prints, as JSON, the CPU and clock seconds that one code cost in this process. With `--moments` it
writes a line for each code: its number and the epoch seconds just before it was sent and just
after.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import resource
import time
from pathlib import Path


def cpu() -> float:
    """Return this process' CPU seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    """Send all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("function")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--moments", type=Path)
    chosen = parser.parse_args()
    module, _, name = chosen.function.partition(":")
    enqueue = getattr(importlib.import_module(module), name)
    waits = inspect.iscoroutinefunction(enqueue)
    moments = []
    started, before = time.perf_counter(), cpu()
    for number in range(chosen.first, chosen.first + chosen.count):
        if chosen.rate:
            pause = started + (number - chosen.first) / chosen.rate - time.perf_counter()
            if pause > 0:
                time.sleep(pause)  # noqa: ASYNC251 - nothing else is in this loop
        mobile = f"138{number:08d}"
        before_it = time.time()
        if waits:
            await enqueue(mobile)
        else:
            enqueue(mobile)
        moments.append((mobile, before_it, time.time()))
    used, seconds = cpu() - before, time.perf_counter() - started
    if chosen.moments:
        chosen.moments.write_text(
            "".join(f"{mobile} {begun:.6f} {done:.6f}\n" for mobile, begun, done in moments)
        )
    each = {"cpu_seconds_a_code": used / chosen.count, "seconds_a_code": seconds / chosen.count}
    print(json.dumps({**each, "codes_a_second": chosen.count / seconds}))


asyncio.run(main())
