"""No queue at all: one session, one loop.

`bare.py COUNT` prints codes a second and CPU seconds for one code, as JSON.
"""

import json
import resource
import sys
import time

import post


def cpu() -> float:
    """Return this process' CPU seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


count = int(sys.argv[1])
for number in range(200):
    post.post(f"139{number:08d}")
started, before = time.perf_counter(), cpu()
for number in range(count):
    post.post(f"138{number:08d}")
seconds = time.perf_counter() - started
print(json.dumps({"codes_a_second": count / seconds, "cpu_seconds_a_code": (cpu() - before) / count}))
