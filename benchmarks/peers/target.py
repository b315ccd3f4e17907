"""Where a peer finds the gateway and Redis, and the form that it posts."""

import os

URL = os.environ["BENCH_GATEWAY"] + "?method=Submit"
REDIS_PORT = int(os.environ["BENCH_REDIS_PORT"])
REDIS_URL = f"redis://127.0.0.1:{REDIS_PORT}/0"
SLOTS = int(os.environ.get("BENCH_SLOTS", "50"))


def form(mobile: str) -> dict[str, str]:
    """Return the form of a Submit."""
    return {
        "account": "C00000001",
        "password": "made-up",
        "mobile": mobile,
        "content": "123456",
        "format": "json",
    }
