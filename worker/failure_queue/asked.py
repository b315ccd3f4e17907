"""Asked: a filter from words, as an option of a command or a field of a page gives them."""

from collections.abc import Sequence

from worker.failure_queue.filters import Filter
from worker.failure_queue.timestamps import moment


def read_filter(  # noqa: PLR0913 - one argument per condition
    *,
    now: float,
    keys: Sequence[str] = (),
    reason: str | None = None,
    codes: Sequence[str] = (),
    scope: str | None = None,
    since: str | None = None,
    until: str | None = None,
    mobile_ends: str | None = None,
    ambiguous: bool | None = None,
    purpose: str | None = None,
    text: str | None = None,
    sendable: bool = False,
) -> Filter:
    """Return the filter. `now`: epoch seconds. Raises ValueError with a sentence for a person."""
    return Filter(
        keys=tuple(keys),
        reason=reason,
        codes=tuple(codes),
        scope=scope,
        since=None if since is None else moment(since, now=now),
        until=None if until is None else moment(until, now=now),
        mobile_ends=mobile_ends,
        ambiguous=ambiguous,
        purpose=purpose,
        text=text,
        sendable=sendable,
    )
