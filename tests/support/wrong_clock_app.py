"""A worker whose clock is wrong by CLOCK_OFFSET seconds.

Only its signatures are right: the gateway would refuse them by its own clock.
"""

import os
import time
from typing import Any, Final

from worker.gateway.form import Forms

__all__ = ["app"]

_OFFSET: Final = float(os.environ["CLOCK_OFFSET"])
_real_time, _real_submit = time.time, Forms.submit


def _submit(forms: Forms, code: Any, *, now: float) -> bytes:
    return _real_submit(forms, code, now=now - _OFFSET)


# setattr: a type checker rightly minds such things.
for _owner, _name, _wrong in ((time, "time", lambda: _real_time() + _OFFSET), (Forms, "submit", _submit)):
    setattr(_owner, _name, _wrong)

from worker.app import app  # noqa: E402 - what it imports must see the wrong clock
