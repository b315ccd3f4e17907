"""Filter: selects dead letters. All of its conditions must hold."""

import dataclasses
import re

from config.masking import mask_text
from worker.failure_queue.timestamps import interval, iso


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on a dead letter; one that is left out does not restrict.

    Times are epoch seconds of death.
    """

    keys: tuple[str, ...] = ()
    """Any of these keys."""
    reason: str | None = None
    codes: tuple[str, ...] = ()
    """Any of these reply codes or symptoms: names of rows in the table of replies."""
    scope: str | None = None
    since: float | None = None
    until: float | None = None
    mobile_ends: str | None = None
    """The last four digits of the number."""
    ambiguous: bool | None = None
    """True: the phone may have rung; False: it cannot have."""
    purpose: str | None = None
    """What the code was for. Only the newest `LOOKED_INTO` matches of the rest are looked into."""
    text: str | None = None
    """A part of the last reply's text or of the detail, in any case. Looked for like `purpose`."""
    sendable: bool = False
    """A replay without any further option would call it. A plan asks by its own options."""

    def __post_init__(self) -> None:
        if self.mobile_ends is not None and not re.fullmatch(r"[0-9]{4}", self.mobile_ends):
            message = "the end of a number is exactly its last four digits"
            raise ValueError(message)
        if self.since is not None and self.until is not None and self.since > self.until:
            message = (
                f"nothing dies {interval(self.since, self.until)}: "
                "`since` is the earlier end, so with times ago it is the larger one"
            )
            raise ValueError(message)

    @property
    def indexes(self) -> tuple[tuple[str, ...], ...]:
        """Groups of index names. A dead letter must stand in at least one index of each group."""
        groups: list[tuple[str, ...]] = []
        if self.reason is not None:
            groups.append((f"reason:{self.reason}",))
        if self.codes:
            groups.append(tuple(f"code:{code}" for code in dict.fromkeys(self.codes)))
        if self.scope is not None:
            groups.append((f"scope:{self.scope}",))
        if self.mobile_ends is not None:
            groups.append((f"ends:{self.mobile_ends}",))
        if self.ambiguous is not None:
            groups.append(("ambiguous:yes" if self.ambiguous else "ambiguous:no",))
        return tuple(groups)

    @property
    def looks_inside(self) -> bool:
        """It asks for what only the records know."""
        return self.purpose is not None or self.text is not None

    @property
    def empty(self) -> bool:
        """It selects every dead letter."""
        return self == Filter()

    def __str__(self) -> str:
        """Return it as one line, for the audit trail and for people."""
        parts = ["|".join(name.replace(":", "=", 1) for name in group) for group in self.indexes]
        if self.keys:
            parts.append(f"{len(self.keys)} keys" if len(self.keys) > 1 else f"key={self.keys[0]}")
        if self.since is not None:
            parts.append(f"since={iso(self.since)}")
        if self.until is not None:
            parts.append(f"until={iso(self.until)}")
        if self.purpose is not None:
            parts.append(f"purpose={mask_text(self.purpose)}")
        if self.text is not None:
            parts.append(f"text={mask_text(self.text)!r}")
        if self.sendable:
            parts.append("sendable")
        return " ".join(parts) or "all"
