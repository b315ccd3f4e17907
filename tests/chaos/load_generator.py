"""The load generator: stock Celery, which logs what `send_task` acknowledged.

`python -m tests.chaos.load_generator BROKER_URL LOG SECONDS RATE LIFE DUPLICATES SEED`. A publish
that raises may have been carried out: it is repeated with the same key until one succeeds. The
process ends once the last one was acknowledged.
"""

import collections
import json
import random
import sys
import time
from pathlib import Path
from typing import Any, Final

from celery import Celery

from config.celeryconfig import PUBLISH_OPTIONS

TASK: Final = "send_voice_code"
QUEUE: Final = "voice_codes"
_PAUSE_SECONDS: Final = 0.2


def code(number: int, expires_at: float) -> dict[str, Any]:
    """Return the n-th code. Its unique number shows in the gateway's journal which was called."""
    return {
        "key": f"chaos:{number}",
        "mobile": f"13{number:09d}",
        "code": f"{number % 10_000:04d}",
        "expires_at": expires_at,
    }


def connect(broker_url: str) -> Celery:
    """Return a web app's Celery: it raises within seconds if Redis is away."""
    app = Celery("web", broker=broker_url, set_as_current=False)
    app.conf.update(task_publish_retry=False, broker_transport_options=PUBLISH_OPTIONS)
    return app


def send(app: Celery, entry: dict[str, Any]) -> None:
    """Enqueue one code; raises whatever Celery raises."""
    kwargs = {name: entry[name] for name in ("key", "expires_at")}
    app.send_task(TASK, args=[entry["mobile"], entry["code"]], kwargs=kwargs, queue=QUEUE)


def main(broker_url: str, log: str, *numbers: str) -> None:
    """Produce at a steady rate."""
    seconds, rate, life, duplicates, seed = map(float, numbers)
    app, chance = connect(broker_url), random.Random(seed)
    start, made = time.time(), 0
    waiting: collections.deque[dict[str, Any]] = collections.deque()
    with Path(log).open("a", buffering=1, encoding="utf-8") as file:
        while waiting or made < int(seconds * rate):
            now = time.time()
            while made < int(min(now - start, seconds) * rate):
                entry = code(made, round(now + life, 3))
                waiting.extend([entry, entry] if chance.random() < duplicates else [entry])
                made += 1
            if not waiting:
                time.sleep(min(_PAUSE_SECONDS, 1 / rate))
                continue
            try:
                send(app, waiting[0])
            except Exception as error:  # noqa: BLE001 - whatever a broker that is killed and frozen brings about
                file.write(json.dumps({"raised": type(error).__name__, "at": time.time()}) + "\n")
                time.sleep(_PAUSE_SECONDS)
            else:
                file.write(json.dumps({**waiting.popleft(), "at": time.time()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
