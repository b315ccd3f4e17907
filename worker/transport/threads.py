"""Threads: the pool's are started before the first message is fetched.

A pool starts its threads as work arrives. When a start fails it raises, and keeps the work all the same.
"""

import threading
from concurrent.futures import Executor


def start_threads(executor: Executor, count: int) -> None:
    """Start the pool's `count` threads. Raises RuntimeError where the system refuses one."""
    gate = threading.Event()
    try:
        for _ in range(count):
            # Each waits at the gate, so that the pool finds none idle and starts another one.
            executor.submit(gate.wait)
    finally:
        gate.set()
