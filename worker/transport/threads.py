"""Threads: the pool starts all of them before the first message is fetched.

By itself it starts them as work arrives. If a start fails it raises, but still keeps the work.
"""

import threading
from concurrent.futures import Executor


def start_threads(executor: Executor, count: int) -> None:
    """Start the pool's `count` threads. Raises RuntimeError if the system refuses one."""
    gate = threading.Event()
    try:
        for _ in range(count):
            # Each waits at the gate: the pool finds none idle and starts another one.
            executor.submit(gate.wait)
    finally:
        gate.set()
