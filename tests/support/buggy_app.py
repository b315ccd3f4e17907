"""A worker with bugs.

`celery -A tests.support.buggy_app worker`. The purpose of a code names the step that fails, once
for each key.

The exceptions' texts hold the number and the code, as those of a careless library would.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from worker import delivery, report
from worker.app import app
from worker.gateway import client as gateway
from worker.gateway.client import Gateway
from worker.gateway.form import Forms
from worker.ledger import Ledger
from worker.retry import RetryPolicy

__all__ = ["app"]

SLOW_SECONDS: Final = 1.0
_done: Final[set[tuple[str, str]]] = set()
_current: Final = threading.local()


def fail(step: str, purpose: Any, key: str, *values: Any) -> None:
    """Raise where the code asks for it.

    `bug-<step>` once for each key, `bug-<step>-always` each time.
    """
    again = purpose == f"bug-{step}-always"
    if again or (purpose == f"bug-{step}" and (step, key) not in _done):
        _done.add((step, key))
        form = f"content={values[1]}&mobile=+86{values[0]}"
        message = f"bug in {step}: 号码{values[0]}的验证码{values[1]} {form} {values!r}"
        raise RuntimeError(message)


def before(owner: Any, name: str, step: Callable[..., None]) -> None:
    """Have `step` run with the same arguments before a function or method."""
    original = getattr(owner, name)

    def with_bug(*args: Any, **kwargs: Any) -> Any:
        step(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, with_bug)


def _parse(args: Any, kwargs: Mapping[str, Any], **_: Any) -> None:
    if "purpose" in kwargs:
        fail("parse", kwargs["purpose"], str(kwargs.get("key")), *args)


def _claim(_ledger: Ledger, code: Any, **_: Any) -> None:
    if code.purpose == "slow-claim":
        time.sleep(SLOW_SECONDS)
    fail("claim", code.purpose, code.key, code.mobile, code.code)


def _submit(_gateway: Gateway, code: Any, *, deadline: float) -> None:
    _current.code = code
    if code.purpose == "slow-submit" and code.key not in _done:
        _done.add(code.key)
        time.sleep(max(0.0, deadline - time.monotonic()) + 0.05)
    fail("submit", code.purpose, code.key, code.mobile, code.code)


def _form(_forms: Forms, code: Any, **_: Any) -> None:
    fail("form", code.purpose, code.key, code.mobile, code.code)


def _read(*_: Any, **__: Any) -> None:
    code = _current.code
    fail("read", code.purpose, code.key, code.mobile, code.code)


def _decide(*_: Any, **__: Any) -> None:
    code = _current.code
    fail("decide", code.purpose, code.key, code.mobile, code.code)


def _finish(_ledger: Ledger, outcome: Any) -> None:
    code = outcome.claim.voice_code
    if code.purpose == "slow-finish" and code.key not in _done:
        _done.add(code.key)
        time.sleep(SLOW_SECONDS)
    fail("finish", code.purpose, code.key, code.mobile, code.code)


def _report(outcome: Any, *_: Any, **__: Any) -> None:
    code = outcome.claim.voice_code
    fail("report", code.purpose, code.key, code.mobile, code.code)


before(delivery, "parse", _parse)
before(Ledger, "claim", _claim)
before(Gateway, "submit", _submit)
before(Forms, "submit", _form)
before(gateway, "parse", _read)
before(RetryPolicy, "decide", _decide)
before(Ledger, "finish", _finish)
before(report, "attempt", _report)
