"""Runs a program that ends with its starter: `python -I -S die_with_parent.py PROGRAM ARGS...`.

The starter holds this process's stdin. When it closes it, or is killed with -9 and the kernel
closes it, the program gets SIGTERM, and SIGKILL `GRACE_SECONDS` later. Linux has PR_SET_PDEATHSIG
for this, but that fires when the starting *thread* ends. Imports only the standard library.
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
    """Run the program; return 0 if it ended well, else 1.

    Its pid is printed in one line. Its own output goes to stderr.
    """
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - arguments from our own starter
    print(program.pid, flush=True)  # noqa: T201 - the starter reads it
    threading.Thread(target=_end_with_starter, args=(program,), daemon=True).start()
    return min(abs(program.wait()), 1)


if __name__ == "__main__":
    sys.exit(main())
