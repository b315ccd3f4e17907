"""Known: whether the words of a filter can match anything. A typing error must not read as none."""

import difflib
from collections.abc import Mapping

from config.replies import Replies, Scope
from worker.failure_queue.filters import Filter
from worker.failure_queue.stats import Stats
from worker.retry import Reason


def check(wanted: Filter, stats: Stats, replies: Replies) -> None:
    """Raise ValueError if a word of the filter is known neither here nor in the queue."""
    if wanted.reason is not None:
        _check("reason", wanted.reason, {reason.value for reason in Reason}, stats.by_reason)
    for code in wanted.codes:
        _check("reply code or symptom", code, {row.name for row in replies.rows} | {"none"}, stats.by_code)
    if wanted.scope is not None:
        _check("scope", wanted.scope, {scope.value for scope in Scope}, stats.by_scope)


def _check(kind: str, word: str, known: set[str], occurring: Mapping[str, int]) -> None:
    names = known | occurring.keys()
    if word in names:
        return
    close = difflib.get_close_matches(word, sorted(names), n=10, cutoff=0.6)
    close.sort(key=lambda name: (sorted(name) != sorted(word), name not in occurring))
    hint = (
        f"did you mean {', '.join(close[:3])}?" if close else "`voicecode dead stats` lists those that occur"
    )
    message = f"there is no {kind} {word!r}: {hint}"
    raise ValueError(message)
