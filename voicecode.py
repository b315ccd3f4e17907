"""The installed commands `voicecode` and `voicecode-health`.

Where another project's module shadows one of our packages, they say so in a sentence: this module
imports nothing of ours before it has looked.
"""

import runpy
import sys
from pathlib import Path


def _look() -> None:
    """End the process if `worker`, `config` or `tasks` is somebody else's."""
    file = Path(__file__).resolve().with_name("worker") / "process" / "shadowed.py"
    found = runpy.run_path(str(file))["sentence"]()
    if found:
        sys.exit(found)


def main() -> None:
    """Run `voicecode`."""
    _look()
    from worker.cli import main as run  # noqa: PLC0415 - only where it is ours

    run()


def health() -> int:
    """Run `voicecode-health`."""
    from worker.process.health import main as run  # noqa: PLC0415 - it has no time for a look

    return run()


if __name__ == "__main__":
    main()
