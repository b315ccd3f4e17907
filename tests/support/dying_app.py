"""The worker's app, with messages that are its death, or its sleep.

`celery -A tests.support.dying_app worker`.
"""

import os
import signal
import time
from typing import Any

from tests.support.fault_markers import (
    DIES_BEFORE_CLAIM,
    DIES_IN_CALL,
    EXIT_STATUS,
    FREEZES_BEFORE_POST,
    FULL_AT_CLAIM,
)
from worker.app import app
from worker.gateway import client as gateway
from worker.ledger import Ledger
from worker.transport import strategy

__all__ = ["app"]

_froze: set[str] = set()
_unpack, _submit, _claim = strategy.unpack, gateway.Gateway.submit, Ledger.claim


def _dying_unpack(message: Any, payload: Any = None) -> Any:
    if DIES_BEFORE_CLAIM in str(message.body):
        os._exit(EXIT_STATUS)
    return _unpack(message, payload)


def _dying_submit(self: gateway.Gateway, code: Any, *, deadline: float) -> Any:
    if code.key.startswith(DIES_IN_CALL):
        os._exit(EXIT_STATUS)
    if code.key.startswith(FREEZES_BEFORE_POST) and code.key not in _froze:
        _froze.add(code.key)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.1)  # the signal reaches this thread a little after it was sent
    return _submit(self, code, deadline=deadline)


def _claim_when_full(self: Ledger, code: Any, **more: Any) -> Any:
    """Fill Redis at the worst moment, three times; the test makes room again."""
    client: Any = self.client
    if code.key.startswith(FULL_AT_CLAIM) and client.incr("full") <= 3:
        client.config_set("maxmemory", 1)
    return _claim(self, code, **more)


strategy.unpack = _dying_unpack
gateway.Gateway.submit = _dying_submit  # type: ignore[method-assign]
Ledger.claim = _claim_when_full  # type: ignore[method-assign]
