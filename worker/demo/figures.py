"""Figures: the result of the demo, as a table and as one JSON object."""

import dataclasses
from collections.abc import Sequence

from rich.table import Table

from worker.demo.tracker import TrackedCode


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts at the end.

    `codes` = `accepted` + `dead` + `unfinished`; `enqueued` = `codes` + suppressed duplicates.
    """

    enqueued: int
    """Messages that the producer sent."""
    duplicates_suppressed: int
    """Messages for a code that was already known: no call was placed for them."""
    codes: int
    accepted: int
    dead: int
    unfinished: int
    died_before_replay: int
    replayed: int
    replay_refused: int
    """Dead letters that were not sent again: their code had expired."""
    attempts: int
    """Submissions that reached the gateway."""
    retried: int
    """Codes that took more than one try."""
    ambiguous_attempts: int
    """Tries after which the worker cannot know whether the phone rang."""
    calls: int | None
    """Calls that the gateway placed, by its own journal; None for a real gateway."""
    unexpected: Sequence[str]
    """Keys of codes that did not end as they should."""
    elapsed_seconds: float

    @property
    def good(self) -> bool:
        """Whether every code ended as it should."""
        return not self.unfinished and not self.unexpected

    def table(self, _width: int) -> Table:
        """Return the summary."""
        calls = "unknown: the gateway is a real one" if self.calls is None else str(self.calls)
        table = Table(title="Summary", title_justify="left", title_style="bold", show_header=False)
        for name, value in (
            ("messages enqueued", str(self.enqueued)),
            ("  of them duplicates, suppressed", str(self.duplicates_suppressed)),
            ("codes", str(self.codes)),
            ("  accepted by the gateway", str(self.accepted)),
            ("  in the failure queue, each with a reason", str(self.dead)),
            ("  lost", str(self.unfinished)),
            ("replayed after the account was mended", str(self.replayed)),
            ("  not replayed: the code had expired", str(self.replay_refused)),
            ("calls placed, by the gateway's journal", calls),
            ("tries that may have rung without a reply", str(self.ambiguous_attempts)),
            ("seconds from start to end", f"{self.elapsed_seconds:.1f}"),
        ):
            table.add_row(name, value)
        return table


def count(rows: Sequence[TrackedCode], state: str) -> int:
    """Return how many codes are in a state."""
    return sum(row.state == state for row in rows)
