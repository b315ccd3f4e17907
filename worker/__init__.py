"""How a call is placed, once, and what happens when it cannot be.

`celery -A worker worker` looks for `worker.celery`. The app is built at that moment and not before:
the simulator and the command line start without it.
"""

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "celery":
        from worker.process.shadowed import sentence  # noqa: PLC0415 - before the first import of ours

        if found := sentence(by_celery=True):
            sys.exit(found)
        from worker.app import app  # noqa: PLC0415 - built when Celery asks for it, see above

        return app
    message = f"module 'worker' has no attribute {name!r}"
    raise AttributeError(message)
