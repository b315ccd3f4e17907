"""Counters: what the scripts count in the hash `{voice_codes}:metrics`, and how to read it.

A script counts with one write, so a field's name holds several facts, with spaces between:

    seen                         a code's first claim, which did not lead to a call at once
    seen call                    a first claim that did
    call, call 8                 a later claim to call; the first one of its code after up to 8 s
    accepted 2 0.25 0.25 1       row, and upper bounds: submission, attempt, age of the code
    doubled, revived ...         the same, if the code was accepted or dead before
    tried 4051 0.25 0.25         any other reply, without the age
    lease_over                   a worker died in mid-call
    dead expired                 a code became a dead letter, with its reason
    replayed                     a dead letter was put back

A script that runs twice counts once. Bounds are seconds; a histogram has no sum, because that
would take a second write in each script.
"""

import bisect
import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, Self

SUBMISSION_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ATTEMPT_BOUNDS: Final = (*SUBMISSION_BOUNDS, 20, 40)
AGE_BOUNDS: Final = (0.25, 0.5, *(2**power for power in range(13)))
WAIT_BOUNDS: Final = tuple(2**power for power in range(13))
"""`claim.lua` computes these."""
BEYOND: Final = "+Inf"
_ACCEPTANCES: Final = ("accepted", "doubled", "revived")

Histogram = dict[str, int]
"""Upper bound -> how many were at most that, those of the smaller bounds included."""


def bucket(seconds: float, bounds: Sequence[float]) -> str:
    """Return the smallest bound that is not below `seconds`."""
    at = bisect.bisect_left(bounds, seconds)
    return f"{bounds[at]:g}" if at < len(bounds) else BEYOND


def name_try(row: str, *, submission: float, attempt: float, age: float | None) -> str:
    """Return what `finish.lua` counts of a try. `age`: of the code, if it was accepted."""
    parts = [row, bucket(submission, SUBMISSION_BOUNDS), bucket(attempt, ATTEMPT_BOUNDS)]
    return " ".join(parts if age is None else [*parts, bucket(age, AGE_BOUNDS)])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Everything that was counted since the hash was made."""

    first_seen: int
    calls_started: int
    """Claims that were answered with `call`."""
    accepted: int
    """Codes, each once."""
    revived: int
    """Those of them that were dead letters when the acceptance came."""
    doubled: int
    """Second acceptances of a code."""
    replayed: int
    dead: Mapping[str, int]
    """By reason."""
    rows: Mapping[str, int]
    """Ends of tries, by row of the table of replies; `lease_over` among them."""
    first_call: Histogram
    """Seconds from first sight to the first claim to call."""
    acceptance: Histogram
    """Seconds from first sight to acceptance."""
    submission: Histogram
    attempt: Histogram
    """Seconds of a whole attempt in its worker, from before the claim until it is recorded."""

    @classmethod
    def from_hash(cls, values: Mapping[str, str]) -> Self:
        """Read the hash. Fields of a later version are left out."""
        plain: collections.Counter[str] = collections.Counter()
        dead: collections.Counter[str] = collections.Counter()
        rows: collections.Counter[str] = collections.Counter()
        buckets = {name: collections.Counter[str]() for name in ("wait", "age", "submission", "attempt")}
        for field, value in values.items():
            (word, *facts), count = field.split(" "), int(value)
            plain[word] += count
            if word == "seen" and facts:
                plain["call"] += count
                buckets["wait"]["1"] += count
            elif word == "call" and facts:
                buckets["wait"][facts[0]] += count
            elif word == "dead":
                dead[facts[0]] += count
            elif word == "lease_over":
                rows[word] += count
            elif word in {*_ACCEPTANCES, "tried"}:
                rows[facts[0]] += count
                buckets["submission"][facts[1]] += count
                buckets["attempt"][facts[2]] += count
                if word != "doubled":
                    buckets["age"].update(dict.fromkeys(facts[3:], count))
        return cls(
            first_seen=plain["seen"],
            calls_started=plain["call"],
            accepted=plain["accepted"] + plain["revived"],
            revived=plain["revived"],
            doubled=plain["doubled"],
            replayed=plain["replayed"],
            dead=dead,
            rows=rows,
            first_call=_cumulated(buckets["wait"], WAIT_BOUNDS),
            acceptance=_cumulated(buckets["age"], AGE_BOUNDS),
            submission=_cumulated(buckets["submission"], SUBMISSION_BOUNDS),
            attempt=_cumulated(buckets["attempt"], ATTEMPT_BOUNDS),
        )


def _cumulated(counts: Mapping[str, int], bounds: Sequence[float]) -> Histogram:
    total, found = 0, {}
    for bound in (*(f"{bound:g}" for bound in bounds), BEYOND):
        total += counts.get(bound, 0)
        found[bound] = total
    return found
