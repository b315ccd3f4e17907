"""Runs a program that ends when its starter ends: `python -I -S leash.py PROGRAM ARGS...`; standard library only.

The starter holds our stdin. When it closes it, or is killed with -9 and the kernel closes it, the program gets SIGTERM and
`GRACE_SECONDS` later SIGKILL. Linux has PR_SET_PDEATHSIG for this, but that fires when the starting *thread* ends.
"""

import subprocess
import sys
import threading
from typing import Final

GRACE_SECONDS: Final = 5


def _end_with_starter(program: subprocess.Popen[bytes]) -> None:
    sys.stdin.read()
    program.terminate()
    try:
        program.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()


def main() -> int:
    """Print the program's pid in one line, pass its output to stderr, and return 0 when it ended well, else 1."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - our own starter's words
    print(program.pid, flush=True)  # noqa: T201 - the starter reads it
    threading.Thread(target=_end_with_starter, args=(program,), daemon=True).start()
    return min(abs(program.wait()), 1)


if __name__ == "__main__":
    sys.exit(main())
