"""Builds that break a promise on purpose, for the tests of the chaos suite.

`celery -A tests.support.broken_builds:NAME`.

Importing this module breaks the process that imports it; which way, `VOICECODE_BREAK` says.
"""

import os
from collections.abc import Callable
from typing import Any, Final

from config import names
from worker.app import app
from worker.ledger import Ledger
from worker.ledger.claim import Claim
from worker.ledger.finish import Outcome
from worker.store import scripts

__all__ = ["app"]


def _ack_before_finish() -> None:
    """Forget the message and its due moment as soon as it is claimed."""
    claim = Ledger.claim

    def claim_and_ack(ledger: Ledger, *args: Any, **kwargs: Any) -> Claim:
        answer = claim(ledger, *args, **kwargs)
        app.components.acks.add(kwargs["tag"])
        ledger.client.zrem(names.DUE, answer.key)
        ledger.client.zrem(names.EXPIRY, answer.key)
        return answer

    Ledger.claim = claim_and_ack  # type: ignore[method-assign, assignment]


def _forget_ambiguity() -> None:
    """Try again, as often as there are attempts, when a reply was lost, and say nothing of it."""
    original = Outcome.arguments

    def arguments(outcome: Outcome, accepted_ttl_seconds: float) -> dict[str, Any]:
        given = original(outcome, accepted_ttl_seconds)
        return {**given, "kind": "submission" if given["kind"] == "ring" else given["kind"]}

    Outcome.arguments = arguments  # type: ignore[method-assign, assignment]
    Outcome.ambiguous = property(lambda _outcome: False)  # type: ignore[assignment, method-assign]


def _call_while_stopped() -> None:
    """Go on whatever has stopped the fleet."""
    gate = "if s.state == 'stopped' and s.mends == 'person' then return 'refuse' end"
    read_file = scripts.read_file
    assert gate in read_file("sending/state")
    scripts.read_file = lambda name: read_file(name).replace(gate, "if true then return 'call' end")


_WAYS: Final[dict[str, Callable[[], None]]] = {
    "ack_before_finish": _ack_before_finish,
    "forget_ambiguity": _forget_ambiguity,
    "call_while_stopped": _call_while_stopped,
}
_WAYS[os.environ["VOICECODE_BREAK"]]()
