"""The judge of the fleet: holds its moves and pages, and every attempt, against the promises.

F1  While the fleet is stopped or held no claim is told to call, and in a trial at most ten are.
F2  With everything well again, it sends.
F4  In any minute at most `VOICECODE_NUMBER_PER_MINUTE` forms for one number leave.
F5  One incident, from its stop until sending is resumed, pages once.
"""

import bisect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from tests.chaos.evidence import History
from tests.chaos.fleet_evidence import FleetEvidence

_CLOCK_SECONDS: Final = 0.01
"""Redis' times are cut to a millisecond; the audit trail's are its own."""
_AT_ONCE: Final = 10
_TOLD_WITHIN_SECONDS: Final = 20.0
"""A worker that is to page may die, and another takes its place after ten seconds."""
_WINDOW_SECONDS: Final = 60.0
_DELIVERED_SECONDS: Final = 1.0
"""What a frozen connection kept arrives so soon after its end."""


def judge_fleet(histories: Iterable[History], evidence: FleetEvidence) -> list[str]:
    """Return a sentence for each broken promise."""
    everything = list(histories)
    return [
        *_called_while_stopped(everything, evidence),
        *_submitted_while_stopped(everything, evidence),
        *_called_too_many_on_trial(everything, evidence),
        *([] if evidence.ended == "sending" else [f"everything is well, and it is {evidence.ended}"]),
        *_called_a_number_too_often(everything, evidence.per_minute),
        *_paged(evidence),
    ]


def _times(evidence: FleetEvidence, *states: str) -> Iterator[tuple[float, float]]:
    """Yield from when to when the fleet was in one of these states."""
    ends = [at for at, _ in evidence.moves[1:]]
    for (start, state), end in itertools.zip_longest(evidence.moves, ends, fillvalue=float("inf")):  # type: ignore[misc]
        if state in states:
            yield start, end


def _called_while_stopped(histories: list[History], evidence: FleetEvidence) -> Iterator[str]:
    stops = list(_times(evidence, "stopped", "held"))
    for history in histories:
        for attempt in history.record.attempts if history.record else ():
            started = attempt.started_at or 0.0
            if any(start + _CLOCK_SECONDS < started < end - _CLOCK_SECONDS for start, end in stops):
                yield f"{history.key}: attempt {attempt.number} began while sending was stopped"


def _submitted_while_stopped(histories: list[History], evidence: FleetEvidence) -> Iterator[str]:
    """Look at the gateway's journal: an accepted code's record no longer tells of its attempts.

    A form leaves within the attempt's deadline after its claim, and only a frozen connection holds
    it back for longer.
    """
    stops = list(_times(evidence, "stopped", "held"))
    for history in histories:
        for at in (submission.at for submission in history.submissions):
            held_back = any(start <= at <= end + _DELIVERED_SECONDS for start, end in evidence.held_back)
            for start, end in stops:
                if start + evidence.deadline_seconds + _CLOCK_SECONDS < at < end and not held_back:
                    yield f"{history.key}: submitted {at - start:.3f} s after sending was stopped"


def _called_too_many_on_trial(histories: list[History], evidence: FleetEvidence) -> Iterator[str]:
    attempts = [attempt for history in histories if history.record for attempt in history.record.attempts]
    for start, end in _times(evidence, "trial"):
        edges = []
        for attempt in attempts:
            began = attempt.started_at or 0.0
            if start + _CLOCK_SECONDS < began < end - _CLOCK_SECONDS:
                over = min(attempt.ended_at or float("inf"), began + evidence.lease_seconds)
                edges += [(began, 1), (over, -1)]
        most = max(itertools.accumulate(step for _, step in sorted(edges)), default=0)
        if most > _AT_ONCE:
            yield f"{most} calls at once in the trial of {start:.3f}"


def _called_a_number_too_often(histories: list[History], per_minute: int) -> Iterator[str]:
    for history in histories if per_minute else ():
        moments = sorted(submission.at for submission in history.submissions)
        for first, beyond in zip(moments, moments[per_minute:], strict=False):
            if beyond - first < _WINDOW_SECONDS:
                yield f"{history.key}: {per_minute + 1} forms in {beyond - first:.3f} s"


def _paged(evidence: FleetEvidence) -> Iterator[str]:
    begins, ends, running = [], [], False
    for at, state in evidence.moves:
        if state == "stopped" and not running:
            begins.append(at)
            running = True
        elif state == "sending" and running:
            ends.append(at)
            running = False
    found = Counter(bisect.bisect(begins, page + _CLOCK_SECONDS) - 1 for page in evidence.pages)
    for number, (start, end) in enumerate(itertools.zip_longest(begins, ends, fillvalue=float("inf"))):
        if found[number] > 1:
            yield f"{found[number]} pages for the incident of {start:.3f}"
        if not found[number] and end - start > _TOLD_WITHIN_SECONDS:
            yield f"no page for the incident of {start:.3f}, which lasted {end - start:.1f} s"
    if found[-1]:
        yield f"{found[-1]} pages without an incident"
