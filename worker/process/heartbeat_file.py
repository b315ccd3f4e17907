"""The heartbeat's file: named after the worker, and locked while its process lives.

Two workers of one name on one machine would hide each other's death: the second one's file also has
its pid. The lock ends with its process, however that ends, so the health check passes over the
files of the dead.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from config import health

_FLAGS: Final = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def own_file(chosen: Path | None, worker: str) -> Path:
    """Return the file to touch: `chosen`, or else one named after the worker, then locked."""
    if chosen is not None:
        return chosen
    file = health.named_after(worker)
    if not _lock(file):
        file = file.with_name(f"{file.name}.{os.getpid()}")
        _lock(file)
    return file


def _lock(file: Path) -> bool:
    """Create and lock a file. Return False if somebody else holds it, or it cannot be opened."""
    try:
        descriptor = os.open(file, _FLAGS, 0o644)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    # The descriptor stays open until the process ends: it holds the lock.
    with contextlib.suppress(OSError):
        health.live_file(file).unlink(missing_ok=True)
        os.utime(descriptor, (health.NOT_BEGUN, health.NOT_BEGUN))
    return True


def is_held(file: Path) -> bool:
    """Return whether a process that lives has locked the file. One that cannot be read is held."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
