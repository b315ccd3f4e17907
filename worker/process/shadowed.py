"""Shadowed: somebody else's `worker`, `config` or `tasks` that Python imports in place of ours.

Standard library only, and nothing of ours: it must work where our own imports do not.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("worker", "config", "tasks")


def sentence(*, by_celery: bool = False) -> str | None:
    """Return what shadows which of our packages and what to do, or None.

    `by_celery`: look in the current folder first, as Celery does. Our own commands do not.
    """
    here = str(Path.cwd())
    if by_celery:
        sys.path.insert(0, here)
    try:
        return next((found for name in PACKAGES if (found := _shadow(name))), None)
    finally:
        if by_celery:
            sys.path.remove(here)


def _shadow(name: str) -> str | None:
    spec = importlib.util.find_spec(name)
    if spec is None or ROOT / name in [Path(p).resolve() for p in spec.submodule_search_locations or ()]:
        return None
    return (
        f"voicecode needs its own package {name}, and Python finds {spec.origin} first:"
        " start it in another folder, or install it in a virtual environment of its own."
    )
