"""The judge: turns what became of the codes into figures, and compares them with the goals."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.nights.fleet import Fate, Fleet, p95
from tests.nights.night import Check
from worker.simulator.journal import Submission


def all_accepted(fates: Sequence[Fate]) -> Check:
    """Every code was accepted."""
    return share_accepted(fates, 1.0)


def share_accepted(fates: Sequence[Fate], share: float) -> Check:
    """At least this share of the codes was accepted, and none was lost."""
    accepted = sum(fate.accepted for fate in fates)
    reasons = Counter(
        fate.record.reason if fate.record and fate.dead else "lost" for fate in fates if not fate.accepted
    )
    told = "".join(f", {count} {reason}" for reason, count in sorted(reasons.items()))
    met = bool(fates) and accepted >= share * len(fates) and not any(fate.lost for fate in fates)
    return Check(f"{accepted} of {len(fates)} accepted{told}", met)


def none_lost(fates: Sequence[Fate]) -> Check:
    """Every code ended."""
    lost = sum(fate.lost for fate in fates)
    return Check(f"{lost} lost", lost == 0)


def dead_at_most(fates: Sequence[Fate], limit: int) -> Check:
    """No more codes became dead letters."""
    dead = Counter(fate.record.reason for fate in fates if fate.record and fate.dead)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(dead.items()))
    return Check(f"{dead.total()} dead letters{f' ({told})' if told else ''}", dead.total() <= limit)


def accepted_within(fates: Sequence[Fate], returned_at: float, limit: float) -> Check:
    """Compare the 95th percentile of the waits with a limit.

    Each runs from the gateway's return, or a later enqueue, to acceptance.
    """
    waits = [
        fate.record.accepted_at - max(returned_at, fate.code.at)
        for fate in fates
        if fate.record and fate.record.accepted_at and fate.record.accepted_at >= returned_at
    ]
    return Check(f"p95 {p95(waits):.1f} s after the return", p95(waits) <= limit)


def calls_excused(fates: Iterable[Fate]) -> Check:
    """No code was called more often than once, plus once for each attempt that may have rung."""
    everything = list(fates)
    beyond = sum(max(0, fate.calls - 1 - fate.ambiguous) for fate in everything)
    calls, ambiguous = sum(fate.calls for fate in everything), sum(fate.ambiguous for fate in everything)
    return Check(f"{calls} calls, {ambiguous} ambiguous, {beyond} beyond", beyond == 0)


def second_calls_excused(fates: Sequence[Fate], limit: int) -> Check:
    """Second calls followed only lost replies, and were fewer than `limit`."""
    second = [fate for fate in fates if fate.calls > 1]
    unexcused = sum(fate.ambiguous == 0 for fate in second)
    return Check(f"{len(second)} second calls, {unexcused} unexcused", unexcused == 0 and len(second) < limit)


def submitted_at_most(
    submissions: Sequence[Submission], limit: int, what: str = "further submissions"
) -> Check:
    """No more forms than the limit left after the provider had refused."""
    return Check(f"{len(submissions)} {what}", len(submissions) <= limit)


def pages(fleet: Fleet, limit: int = 1) -> Check:
    """Exactly one page for an incident."""
    events = Counter(f"{line['event']} {line.get('row', '')}".strip() for line in fleet.pages())
    told = ", ".join(f"{count} {event}" for event, count in events.most_common(3))
    return Check(f"{events.total()} pages{f' ({told})' if told else ''}", events.total() == limit)


def most_in_a_minute(submissions: Iterable[Submission], window: float = 60.0) -> int:
    """Return the largest number of submissions to one phone number within any window."""
    moments: defaultdict[str, list[float]] = defaultdict(list)
    for submission in submissions:
        moments[submission.mobile].append(submission.at)
    most = 0
    for ats in moments.values():
        ats.sort()
        first = 0
        for last, at in enumerate(ats):
            while ats[first] <= at - window:
                first += 1
            most = max(most, last - first + 1)
    return most


def longest_gap(moments: Iterable[float], start: float, end: float) -> float:
    """Return the longest pause between the moments, from start to end. Seconds."""
    inside = [start, *sorted(moment for moment in moments if start < moment < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(inside))
