"""Fitness: what a worker's own tries say about the worker. A pure step over frozen values.

1. A worker starts fit.
2. Twenty tries in a row without a readable reply make it unfit, or twenty replies 0 in a row to at
   least five numbers. So does the first reply that refuses this host.
3. It becomes fit again when the gateway answers a balance query, except after replies 0: an
   answered query says nothing about those. It also does after fifteen seconds, to try for itself:
   one code at a time, until one is answered.
4. After that, five failures in a row instead of twenty make it unfit again, until twenty tries in a
   row were answered.
"""

import dataclasses
from typing import Final

from config.replies import Kind, Mends, Row, Scope

FAILURES: Final = 20
FAILURES_ON_PROBATION: Final = 5
NUMBERS: Final = 5
"""With replies 0 to fewer numbers, the numbers may be at fault."""
REFUSED_CODE: Final = 0
CLOCK_SKEW: Final = "40501"


@dataclasses.dataclass(frozen=True, slots=True)
class Fitness:
    """What the latest tries have shown."""

    unfit: Row | None = None
    """The row that made the worker unfit; None while it is fit."""
    failures: int = 0
    """Tries in a row without a readable reply, or with reply 0."""
    zeros: frozenset[str] = frozenset()
    """Numbers that got reply 0 in this run; empty in a run of unreadable replies."""
    answered: int = 0
    """Tries in a row with a readable reply other than 0."""
    on_probation: bool = False

    @property
    def is_proving(self) -> bool:
        """Whether it tries for itself, and its latest try was not answered."""
        return self.unfit is None and self.on_probation and self.answered == 0


def observe(before: Fitness, row: Row, number: str, unfit_after: int = FAILURES) -> Fitness:
    """Return what is known after one more try.

    `row`: the table's row for its reply. `unfit_after`: failures in a row that make a worker unfit;
    0: only a reply that refuses this host does.
    """
    if row.kind is Kind.PERMANENT and row.scope is Scope.HOST:
        return dataclasses.replace(before, unfit=row, answered=0)
    if row.code == REFUSED_CODE or row.symptom is not None or row.name == CLOCK_SKEW:
        return _failed(before, row, number, unfit_after)
    answered = before.answered + 1
    on_probation = (before.on_probation or before.unfit is not None) and answered < unfit_after
    return Fitness(answered=answered, on_probation=on_probation)


def _failed(before: Fitness, row: Row, number: str, unfit_after: int) -> Fitness:
    if row.mends is Mends.PERSON and row.name != CLOCK_SKEW:
        # A wrong URL: the configuration is at fault, and is blocked instead.
        return before
    is_zero = row.code == REFUSED_CODE
    continues = before.failures > 0 and bool(before.zeros) == is_zero
    failures = before.failures + 1 if continues else 1
    zeros = (before.zeros if continues else frozenset()) | ({number} if is_zero else frozenset())
    limit = FAILURES_ON_PROBATION if before.on_probation else unfit_after
    limit = 2 if row.name == CLOCK_SKEW else limit
    told = 0 < limit <= failures and (not is_zero or len(zeros) >= min(NUMBERS, limit))
    return dataclasses.replace(
        before, unfit=row if told else before.unfit, failures=failures, zeros=zeros, answered=0
    )


def recovered(before: Fitness) -> Fitness:
    """Return a worker that may try for itself again."""
    return Fitness(on_probation=before.unfit is not None or before.on_probation)
